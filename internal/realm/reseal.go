package realm

import (
	"context"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/realm/internal/db"
)

// Reseal seals the realm's data key by the current secret key, so that older ones may leave the ring (OP-05). It tells
// whether there was anything to do; record is called in the transaction then, with the id of the current key. Nothing
// else in the database is sealed by a secret key, so nothing else is touched.
func (d *Directory) Reseal(ctx context.Context, r Realm, record func(tx Tx, key string) error) (changed bool, err error) {
	aad := r.AAD("realms", "data_key", r.ID.String())
	err = r.InTx(ctx, func(tx Tx) error {
		sealed, err := db.New().LockDataKey(ctx, tx)
		if err != nil {
			return fmt.Errorf("read the realm's data key: %w", err)
		}
		if !d.o.Keyring.NeedsReseal(sealed) {
			return nil
		}
		key, err := d.o.Keyring.Unwrap(sealed, aad)
		if err != nil {
			return fmt.Errorf("open the realm's data key: %w", err)
		}
		if sealed, err = d.o.Keyring.Wrap(key, aad); err != nil {
			return fmt.Errorf("seal the realm's data key: %w", err)
		}
		if err := db.New().SetDataKey(ctx, tx, db.SetDataKeyParams{DataKey: sealed, Now: d.o.Now()}); err != nil {
			return fmt.Errorf("store the realm's data key: %w", err)
		}
		changed = true
		return record(tx, d.o.Keyring.Current())
	})
	return changed && err == nil, err
}

package envelope

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// AAD names the one place where a sealed value is valid. The row is the textual
// primary key within the realm. Every part is preceded by its length, so no two
// different places share an encoding.
func AAD(realm uuid.UUID, table, column, row string) []byte {
	out := make([]byte, 0, len(realm)+len(table)+len(column)+len(row)+3*binary.MaxVarintLen16)
	out = append(out, realm[:]...)
	for _, part := range [...]string{table, column, row} {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}

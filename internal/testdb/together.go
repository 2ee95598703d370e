package testdb

import "sync"

// Together calls do that many times, all at the same time, and returns what came of it.
func Together[T any](callers int, do func(n int) T) []T {
	results := make([]T, callers)
	var ready, done sync.WaitGroup
	ready.Add(callers)
	for n := range results {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			results[n] = do(n)
		})
	}
	done.Wait()
	return results
}

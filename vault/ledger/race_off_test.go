//go:build !race

package ledger_test

// raceDetector says that everything is some ten times slower.
const raceDetector = false

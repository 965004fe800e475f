//go:build !race

package vault_test

// raceDetector says that everything is some ten times slower.
const raceDetector = false

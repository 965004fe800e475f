//go:build !race

package keyring

// raceDetector says that everything is some ten times slower.
const raceDetector = false

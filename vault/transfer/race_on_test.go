//go:build race

package transfer_test

// raceDetector says that everything is some ten times slower.
const raceDetector = true

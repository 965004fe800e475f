//go:build !race

package disposal

// raceDetector says that everything is some ten times slower.
const raceDetector = false

//go:build race

package plugins_test

// race: this test runs with the race detector.
const race = true

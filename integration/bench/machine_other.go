//go:build !linux

package main

import (
	"errors"
	"os"
)

// Where these are not known, the tables have gaps.

func peakOf(int) int64 { return 0 }

func processorFlags() []string { return nil }

func free(string) int64 { return 0 }

func memoryDir() string { return "" }

func used() float64 { return 0 }

func createDirect(string, int64) (*os.File, error) {
	return nil, errors.New("direct writes are measured on Linux alone")
}

func aligned(n int) []byte { return make([]byte, n) }

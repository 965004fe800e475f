//go:build !linux && !darwin

package transfer

import (
	"errors"
	"os"
)

const directFlag = 0

func preallocate(*os.File, int64) error { return nil }

func clone(_, _ *os.File) error { return errors.ErrUnsupported }

func exchange(*os.File, string, string) error { return errors.ErrUnsupported }

func isMount(*os.File) (bool, error) { return false, nil }

func isBusy(error) bool { return false }

func isReadOnly(error) bool { return false }

// lock takes nothing: what interrupted pulls left is not told from what is in use.
func lock(*os.File) (bool, error) { return true, nil }

// canLock says whether lock tells what is in use.
const canLock = false

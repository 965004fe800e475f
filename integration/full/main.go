// Command full runs what takes too long for every change: the big numbers. It
// prints a table for docs/verification.md and ends with exit code 1 if anything
// failed.
//
//	go run ./integration/full
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"
)

// steps is all there is to run, in order.
var steps = []struct {
	what    string
	command []string
}{
	{"20,000 symbolic and 1,000 real histories of rotation, borrowing, purge and gc, against the coercive adversary",
		[]string{"go", "test", "-count=1", "-timeout=120m", "./vault/keyring", "-run", "Histor", "-args", "-histories=20000", "-real=1000"}},
	{"20,000 histories of whole disposals, with pushes, holds, receipts and certificates, against the coercive adversary",
		[]string{"go", "test", "-count=1", "-timeout=240m", "./vault/disposal", "-run", "Coercion", "-args", "-histories=20000"}},
	{"every wrong variant of the protocols and of the whole command found out",
		[]string{"go", "test", "-count=1", "-timeout=60m", "./vault/keyring", "./vault/disposal", "-run", "Mutation|Mutant"}},
	{"20,000 random histories under a hostile store, with stolen keys",
		[]string{"go", "test", "-count=1", "-timeout=120m", "./vault/ledger", "-run", "Sieges", "-args", "-sieges=200"}},
	{"the store contract, the S3 faults and the life of a model on MinIO as well",
		[]string{"go", "test", "-count=1", "-timeout=60m", "-tags=full", "./integration"}},
	{"100 kills of each kind of push, of pull, and of the exchange of directories each way",
		[]string{"go", "test", "-count=1", "-timeout=60m", "./integration", "-run", "TestKill", "-args", "-kills=100", "-pull-kills=100"}},
	{"1,000,000 files, and a file of 20 GiB that is almost all a hole, within 512 MiB of memory",
		[]string{"go", "test", "-count=1", "-timeout=120m", "-v", "./integration", "-run", "TestManyFiles|TestSparseFile", "-args", "-files=1000000", "-sparse=20"}},
	{"10 minutes of fuzzing for each target", []string{".ci/fuzz", "10m"}},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	code := 0
	table := "| what | result | took |\n|---|---|---|\n"
	for _, s := range steps {
		fmt.Printf("== %s\n", s.what)
		began := time.Now()
		cmd := exec.CommandContext(ctx, s.command[0], s.command[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		result := "passed"
		if err := cmd.Run(); err != nil {
			result, code = "failed: "+err.Error(), 1
		}
		table += fmt.Sprintf("| %s | %s | %s |\n", s.what, result, time.Since(began).Round(time.Second))
	}
	fmt.Printf("\n%s", table)
	os.Exit(code)
}

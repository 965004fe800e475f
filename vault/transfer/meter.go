package transfer

import "sync"

// meter adds up progress and reports it, one report at a time.
type meter struct {
	mu     sync.Mutex
	sum    Progress
	report func(Progress) // may be nil
}

func (m *meter) add(p Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sum.Files += p.Files
	m.sum.Bytes += p.Bytes
	m.sum.Reused += p.Reused
	m.sum.Transferred += p.Transferred
	m.sum.Saved += p.Saved
	if m.report != nil {
		m.report(m.sum)
	}
}

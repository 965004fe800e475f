package mem

import "slices"

// Delete does what a person at a bucket's console does. On a versioned store it
// puts a marker over the object, which no lock forbids; on any other it removes
// the object, unless that is locked.
func (s *Store) Delete(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cur, ok := s.current(key)
	switch {
	case !ok || !s.o.Versioned && cur.info.RetainUntil.After(s.o.Now()):
	case s.o.Versioned:
		s.add(key, nil, true)
	default:
		s.set(key, nil)
	}
}

// Tamper replaces the newest bytes of key by what change returns for a copy of
// them, leaving version and time as they were. It reports whether key existed.
func (s *Store) Tamper(key string, change func([]byte) []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cur, ok := s.current(key)
	if !ok {
		return false
	}
	body := slices.Clone(change(slices.Clone(cur.body)))
	cur.body, cur.info.Size = body, int64(len(body))
	s.objects[key][len(s.objects[key])-1] = cur
	return true
}

// Remove takes key away with all its versions, whatever locks it. It reports
// whether key existed.
func (s *Store) Remove(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.objects[key]
	s.set(key, nil)
	return ok
}

// Keys returns the keys that a listing shows, sorted.
func (s *Store) Keys() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.DeleteFunc(slices.Clone(s.keys), func(key string) bool {
		_, ok := s.current(key)
		return !ok
	})
}

package backendtest

// Op names a method of a store, as [backends.Error] does.
type Op string

// The methods of a store.
const (
	Put   Op = "put"
	Get   Op = "get"
	List  Op = "list"
	Erase Op = "erase"
	Probe Op = "probe"
)

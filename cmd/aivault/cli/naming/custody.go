package naming

import "strings"

// Keeper says where this machine reaches a keeper of keys.
type Keeper struct {
	Local  string    // a keeper in this directory, absolute; "" for all else
	Store  *Location // a keeper in this store; nil for all else
	Plugin Plugin    // a keeper that this plugin reaches; zero for all else
}

// ParseKeeper reads local:DIR, object:STORE-URL or plugin:NAME:CONFIG.
func ParseKeeper(spec string) (Keeper, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	switch {
	case kind == "local" && rest != "":
		l, err := ParseLocation(rest, nil)
		if err != nil {
			return Keeper{}, err
		}
		if l.Dir == "" {
			return Keeper{}, invalid("local:DIR keeps keys in a directory; for a bucket write object:s3://…")
		}
		return Keeper{Local: l.Dir}, nil
	case kind == "object" && rest != "":
		l, err := ParseLocation(rest, nil)
		if err != nil {
			return Keeper{}, err
		}
		if l.Plugin.Name != "" {
			return Keeper{}, invalid("object: keeps keys in a directory or a bucket; a plugin that keeps keys is plugin:NAME:CONFIG")
		}
		return Keeper{Store: &l}, nil
	case kind == "plugin":
		p, err := parsePlugin(spec)
		return Keeper{Plugin: p}, err
	case strings.HasPrefix(spec, "any-of("), strings.HasPrefix(spec, "all-of("):
		return Keeper{}, invalid("several keepers together are not supported by this version; use local:DIR, object:STORE-URL or plugin:NAME:CONFIG")
	}
	return Keeper{}, invalid("a keeper is local:DIR, object:STORE-URL or plugin:NAME:CONFIG")
}

// String is the canonical spelling, which ParseKeeper takes.
func (k Keeper) String() string {
	switch {
	case k.Plugin.Name != "":
		return k.Plugin.String()
	case k.Store != nil:
		return "object:" + k.Store.String()
	}
	return "local:" + k.Local
}

package cli

import (
	"context"
	"strings"

	"github.com/aivault/aivault/vault"
)

func groupCommand() *command {
	return &command{
		name: "group", usage: "readers in groups",
		example: "aivault group add ml bob carol",
		sub: []*command{
			{
				name: "add", args: "NAME MEMBER…", usage: "make a group, or take more members into it",
				about:   "A group is one reader: @NAME wherever a reader is named. Who joins reads at once what it reads, and no artefact is touched. Members can be added by an admin who is in the group, so leave yourself in it.",
				example: "aivault group add ml ada bob carol",
				json:    changeJSON{}, run: groupAdd,
			},
			{
				name: "remove", args: "NAME MEMBER…", usage: "take members out of a group",
				about:   "The group gets new keys, and every artefact that it reads new readers. What you may not do is listed, and the exit code is 3: see aivault member remove.",
				example: "aivault group remove ml carol",
				json:    changeJSON{}, run: groupRemove,
			},
			{name: "list", usage: "list groups and who is in them", example: "aivault group list", json: groupJSON{}, run: groupList},
		},
	}
}

type groupJSON struct {
	Schema    string   `json:"schema"`
	Freshness string   `json:"freshness"`
	Name      string   `json:"name"`
	Members   []string `json:"members"`
}

func groupAdd(ctx context.Context, c *call) error {
	name := strings.TrimPrefix(c.args[0], "@")
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, err := v.GroupAdd(ctx, name, c.args[1:])
	if err != nil {
		return err
	}
	return c.changed(name, "@"+name+" has these members", change, nil)
}

func groupRemove(ctx context.Context, c *call) error {
	name := strings.TrimPrefix(c.args[0], "@")
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, s, err := v.GroupRemove(ctx, name, c.args[1:])
	if err != nil {
		return err
	}
	return c.changed(name, "@"+name+" has new keys", change, s)
}

func groupList(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	all, freshness, err := v.Groups(ctx)
	if err != nil {
		return err
	}
	return table(c.out, all,
		func(g vault.GroupInfo) any {
			return groupJSON{c.out.schema(), freshness, g.Name, nonNil(g.Members)}
		},
		[]string{"GROUP", "MEMBERS"},
		func(g vault.GroupInfo) []string { return []string{"@" + g.Name, strings.Join(g.Members, " ")} })
}

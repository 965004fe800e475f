package wire

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/pluginv1"
	"google.golang.org/grpc"
)

// Contract is what a plugin is for.
type Contract string

// The contracts that a plugin can serve.
const (
	StoreContract   Contract = "store"
	KeeperContract  Contract = "keeper"
	ScannerContract Contract = "scanner"
)

// Description is what a plugin says of itself.
type Description struct {
	Version  string
	Contract Contract
	Bulk     bool // it can take and give bytes over the bulk socket
}

// Describe asks a plugin what it is, and waits for stall.
func Describe(ctx context.Context, conn grpc.ClientConnInterface, stall time.Duration) (Description, error) {
	c := begin(ctx, stall)
	defer c.end()
	m, err := pluginv1.NewPluginClient(conn).Describe(c, &pluginv1.DescribeRequest{})
	if err != nil {
		if ended := c.ended(); ended != nil {
			return Description{}, ended
		}
		return Description{}, transport(err)
	}
	if _, err := texts("its description", append([]string{m.GetVersion()}, m.GetCapabilities()...)); err != nil {
		return Description{}, err
	}
	d := Description{Version: m.GetVersion()}
	switch m.GetContract() {
	case pluginv1.Contract_CONTRACT_STORE:
		d.Contract = StoreContract
	case pluginv1.Contract_CONTRACT_KEEPER:
		d.Contract = KeeperContract
	case pluginv1.Contract_CONTRACT_SCANNER:
		d.Contract = ScannerContract
	default:
		return Description{}, protocol("it serves none of the contracts")
	}
	for _, capability := range m.GetCapabilities() {
		d.Bulk = d.Bulk || capability == BulkCapability
	}
	return d, nil
}

// CheckConfig refuses a configuration that cannot be given to a plugin.
func CheckConfig(config string) error {
	if len(config) > MaxConfig || strings.ContainsFunc(config, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("the configuration of a plugin is one line of at most 4 KiB")
	}
	return nil
}

// Open opens the store, keeper or scanner of a plugin, waits for stall, and returns the
// address of its bulk socket, if it has one. The error is of the kind that the
// plugin gave.
func Open(ctx context.Context, conn grpc.ClientConnInterface, d Description, config string, create bool, stall time.Duration) (address string, err error) {
	if err := CheckConfig(config); err != nil {
		return "", err
	}
	c := begin(ctx, stall)
	defer c.end()
	m, err := pluginv1.NewPluginClient(conn).Open(c, &pluginv1.OpenRequest{Config: config, Create: create})
	switch {
	case err != nil && d.Contract == KeeperContract:
		return "", keeperFailure(c, "open", "", err)
	case err != nil && d.Contract == ScannerContract:
		return "", scannerFailure(c, "open the scanner", err)
	case err != nil:
		return "", storeFailure(c, "open", clean(config), backends.Unavailable, err)
	case !d.Bulk:
		return "", nil
	}
	return m.GetBulkAddress(), nil
}

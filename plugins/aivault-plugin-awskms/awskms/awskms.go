// Package awskms is a keeper in AWS KMS. Each key is a symmetric KMS key of its
// own in one region, which never leaves KMS; its alias is alias/aivault/NAME/LABEL,
// and tags tell name and label. Destroying a key schedules its deletion, which KMS
// carries out after 7 to 30 days: until then the destruction is pending, and the
// key's owner can cancel it.
//
// KMS forgets what it has deleted. So that a key that is gone differs from one
// that never was, a ref is signed: it is LABEL.KEYID.CREATED.MAC, where the MAC is
// by the keeper's own HMAC key, alias/aivault/NAME, whose id names this instance.
// A signed key that KMS does not know, and that is old enough to have been deleted,
// is destroyed. Together with the key KMS forgets the label: aivault never uses one
// twice, and KMS would not refuse it.
//
// The context is in the encryption context of each wrapping, which CloudTrail
// logs: it is a hash.
package awskms

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

const (
	kind = "awskms"
	// minDays and maxDays bound the time for which KMS keeps a deletion pending.
	minDays, maxDays = 7, 30
)

// Options says which keeper to open.
type Options struct {
	// Location is REGION/NAME, with the parameters days (7 to 30, how long a
	// deletion stays pending), profile, and endpoint, the URL of another KMS.
	// Credentials are found as the AWS SDK finds them.
	Location string
	Create   bool             // make the keeper if there is none
	Now      func() time.Time // this machine's clock
}

// Keeper is a name in the KMS of one region and account.
type Keeper struct {
	kms    *kms.Client
	prefix string // of its aliases, without '/' at the end
	name   string
	days   int32
	signer string // id of the HMAC key
	now    func() time.Time

	mu    sync.Mutex
	known map[custody.KeyRef]bool // refs whose MAC was verified
}

// Open opens a keeper. With Create it is made if there is none.
func Open(ctx context.Context, o Options) (*Keeper, error) {
	k := &Keeper{days: minDays, now: o.Now, known: map[custody.KeyRef]bool{}}
	options, endpoint, err := k.parse(o.Location)
	if err != nil {
		return nil, fmt.Errorf("%w; the location is REGION/NAME[?days=7..30&profile=P&endpoint=URL]: %w", err, custody.ErrInvalid)
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w: %w", custody.ErrDenied, err)
	}
	k.kms = kms.NewFromConfig(c, func(o *kms.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
	})
	signer, err := k.describe(ctx, k.prefix)
	if errors.Is(err, errAbsent) && o.Create {
		signer, err = k.makeSigner(ctx)
	}
	switch {
	case errors.Is(err, errAbsent):
		return nil, fmt.Errorf("open %s: %w", k.prefix, custody.ErrNoKeeper)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", k.prefix, err)
	case signer.KeySpec != types.KeySpecHmac256 || signer.KeyState != types.KeyStateEnabled:
		return nil, fmt.Errorf("open %s: it is a key of spec %s in state %s: %w", k.prefix, signer.KeySpec, signer.KeyState, custody.ErrUnfit)
	}
	k.signer = aws.ToString(signer.KeyId)
	return k, nil
}

// parse reads a location.
func (k *Keeper) parse(text string) (options []func(*config.LoadOptions) error, endpoint string, err error) {
	place, parameters, _ := strings.Cut(text, "?")
	region, name, _ := strings.Cut(place, "/")
	if custody.CheckLabel(region) != nil || custody.CheckLabel(name) != nil || len(name) > 50 {
		return nil, "", errors.New("region and name are of [a-z0-9-], a name of at most 50")
	}
	k.name, k.prefix = name, "alias/aivault/"+name
	options = append(options, config.WithRegion(region))
	query, err := url.ParseQuery(parameters)
	if err != nil {
		return nil, "", errors.New("the parameters cannot be read")
	}
	for p, values := range query {
		switch v := values[0]; p {
		case "days":
			n, err := strconv.Atoi(v)
			if err != nil || n < minDays || n > maxDays {
				return nil, "", errors.New("KMS keeps a deletion pending for 7 to 30 days")
			}
			k.days = int32(n)
		case "profile":
			options = append(options, config.WithSharedConfigProfile(v))
		case "endpoint":
			u, err := url.Parse(v)
			if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !net.ParseIP(u.Hostname()).IsLoopback()) {
				return nil, "", errors.New("the endpoint is no https URL")
			}
			endpoint = v
		default:
			return nil, "", fmt.Errorf("unknown parameter %q", p)
		}
	}
	return options, endpoint, nil
}

// makeSigner makes the HMAC key that signs refs, or finds the one that another
// process has made meanwhile.
func (k *Keeper) makeSigner(ctx context.Context) (*types.KeyMetadata, error) {
	return k.makeKey(ctx, k.prefix, &kms.CreateKeyInput{
		KeySpec: types.KeySpecHmac256, KeyUsage: types.KeyUsageTypeGenerateVerifyMac,
		Description: aws.String("aivault keeper " + k.name + ": signs the refs of its keys. Without it no vault can use them."),
		Tags:        []types.Tag{{TagKey: aws.String("aivault-keeper"), TagValue: aws.String(k.name)}},
	})
}

// makeKey makes a key and gives it an alias. Where the alias has a key by then, the
// new one, which has wrapped nothing, is given up.
func (k *Keeper) makeKey(ctx context.Context, alias string, in *kms.CreateKeyInput) (*types.KeyMetadata, error) {
	made, err := k.kms.CreateKey(ctx, in)
	if err != nil {
		return nil, translate(ctx, err)
	}
	_, err = k.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String(alias), TargetKeyId: made.KeyMetadata.KeyId})
	if err == nil {
		return made.KeyMetadata, nil
	}
	_, serr := k.kms.ScheduleKeyDeletion(context.WithoutCancel(ctx), &kms.ScheduleKeyDeletionInput{
		KeyId: made.KeyMetadata.KeyId, PendingWindowInDays: aws.Int32(minDays),
	})
	if _, taken := errors.AsType[*types.AlreadyExistsException](err); !taken {
		return nil, errors.Join(translate(ctx, err), serr)
	}
	// That a spare key may stay is no reason not to use the other.
	return k.describe(ctx, alias)
}

// describe reads what KMS tells of a key, by id or alias.
func (k *Keeper) describe(ctx context.Context, id string) (*types.KeyMetadata, error) {
	out, err := k.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(id)})
	if err != nil {
		return nil, translate(ctx, err)
	}
	if out.KeyMetadata == nil || out.KeyMetadata.KeyId == nil || out.KeyMetadata.CreationDate == nil {
		return nil, fmt.Errorf("KMS tells nothing of a key: %w", custody.ErrUnavailable)
	}
	return out.KeyMetadata, nil
}

// Profile implements [custody.Keeper].
func (k *Keeper) Profile(ctx context.Context) (custody.Profile, error) {
	signer, err := k.describe(ctx, k.prefix)
	if err == nil && aws.ToString(signer.KeyId) != k.signer {
		err = fmt.Errorf("another keeper is there: %w", custody.ErrUnavailable)
	}
	if err != nil {
		return custody.Profile{}, fmt.Errorf("profile: %w", err)
	}
	return custody.Profile{
		Instance: kind + "-" + k.signer, Kind: kind, Algorithm: "aes-256-gcm", Strength: 256, PostQuantum: true,
		BackupRetention: "unknown: AWS keeps copies of keys to be durable, and does not say for how long after deletion",
		DeletionDelay:   time.Duration(k.days) * 24 * time.Hour,
		Notes: []string{
			fmt.Sprintf("A key is deleted %d days after its destruction; until then whoever may cancel a deletion in KMS has it again.", k.days),
			"KMS is eventually consistent: a key may serve for some moments after its deletion was scheduled.",
			"How often keys are used is limited by the request quotas of KMS for the account and region, and can be narrowed by key policies alone, not by rate.",
			"This plugin was tested against a double of KMS, made from its documentation, and not against AWS.",
		},
	}, nil
}

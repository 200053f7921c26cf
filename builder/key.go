package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"

	"paas/builder/tree"
)

// cacheKey is a hash of everything that affects what an install makes.
type cacheKey struct{ sum hash.Hash }

// newCacheKey makes a key of the platform and the versions of tools.
func (b *build) newCacheKey(
	ctx context.Context, env map[string]string, tools ...string,
) (cacheKey, error) {
	k := cacheKey{sha256.New()}
	k.add("platform", []byte(runtime.GOOS+"/"+runtime.GOARCH))
	for _, name := range tools {
		version, err := b.toolVersion(ctx, env, name)
		if err != nil {
			return k, err
		}
		k.add(name, []byte(version))
	}
	return k, nil
}

// add adds a named part. Lengths are hashed too, so that different lists of parts differ.
func (k cacheKey) add(name string, content []byte) {
	fmt.Fprintf(k.sum, "%d %s %d ", len(name), name, len(content))
	k.sum.Write(content)
}

// addFiles adds the contents of files, which may be missing.
func (k cacheKey) addFiles(root *os.Root, names ...string) error {
	for _, name := range names {
		content, err := tree.ReadIf(root, name, 16<<20)
		if err != nil {
			return err
		}
		k.add(name, content)
	}
	return nil
}

// addConfig adds the config vars whose names match.
func (k cacheKey) addConfig(config map[string]string, names *regexp.Regexp) {
	for _, name := range slices.Sorted(maps.Keys(config)) {
		if names.MatchString(name) {
			k.add(name, []byte(config[name]))
		}
	}
}

func (k cacheKey) String() string { return hex.EncodeToString(k.sum.Sum(nil)[:16]) }

package command

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"paas/builder"
	"paas/git"
	"paas/remote"
)

// mayName fails if the buildpacks have a folder of the server, and the caller may not name that.
func (c *Call) mayName(buildpacks string) error {
	packs, _ := builder.ParseBuildpacks(buildpacks)
	if slices.ContainsFunc(packs, builder.Buildpack.OnServer) && !c.isAdmin() {
		return &Fault{
			Kind: Forbidden, Field: "settings",
			Err: fmt.Errorf("only admins may set a buildpack that is a folder of the server; %s is not one",
				c.Caller.Name),
			Next: "name its URL, or a folder of the repository such as ./buildpack",
		}
	}
	return nil
}

// checkBuildpacks fails if words do not name buildpacks that can be used.
func checkBuildpacks(words string) error {
	packs, err := builder.ParseBuildpacks(words)
	if err != nil {
		return err
	}
	for _, p := range packs {
		if p.URL != "" {
			err = CheckBuildpack(p.URL)
		}
		if p.OnServer() {
			_, err = os.Stat(p.Folder)
		}
		if err == nil && p.Branch != "" {
			err = git.CheckBranch(p.Branch)
		}
		if err != nil {
			return fmt.Errorf("buildpack %s: %w", plain(p.String()), err)
		}
	}
	return nil
}

// CheckBuildpack fails if no buildpack can be fetched from url.
func CheckBuildpack(url string) error {
	if err := remote.CheckURL(url); err != nil {
		return err
	}
	if remote.IsSSH(url) {
		return errors.New("ssh needs a key, and buildpacks are fetched without one; " +
			"name its https URL, or put it into a folder of the repository, such as ./buildpack")
	}
	return nil
}

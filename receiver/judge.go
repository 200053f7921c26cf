package receiver

import (
	"fmt"
	"slices"
	"strings"

	"paas/builder/cmdline"
	"paas/git"
	"paas/volume"
)

// usualBranches may deploy if the settings name no branch.
var usualBranches = []string{"main", "master"}

// deployBranch is the deploy branch: the one that is set, or else main or master: the one that is
// live, that exists, or, for the first push, that is pushed. Without any of these it is main.
func deployBranch(set, live string, there, pushed []string) string {
	if set != "" {
		return set
	}
	if slices.Contains(usualBranches, live) {
		return live
	}
	for _, names := range [][]string{there, pushed} {
		for _, branch := range usualBranches {
			if slices.Contains(names, branch) {
				return branch
			}
		}
	}
	return usualBranches[0]
}

// judge judges a push as the app is in this view, and returns the deploy branch and its update. The
// error is [refused].
func (v view) judge(
	updates []update, app string, advice func(volume.Remedy) string,
) (branch string, deploys update, err error) {
	var pushed []string
	for _, u := range updates {
		if short, ok := strings.CutPrefix(u.ref, "refs/heads/"); ok && !u.delete {
			pushed = append(pushed, short)
		}
	}
	branch = deployBranch(v.set, v.liveBranch, v.there, pushed)
	deploys, lines := judge(updates, branch, app, advice)
	if len(lines) > 0 {
		return branch, update{}, refused(lines)
	}
	return branch, deploys, nil
}

// judge returns the update of the deploy branch, or else the reasons why the push is refused, one
// for each reference.
func judge(
	updates []update, branch, app string, advice func(volume.Remedy) string,
) (deploys update, refused []string) {
	var found bool
	for _, u := range updates {
		if u.ref == git.Branch(branch) && !u.delete {
			deploys, found = u, true
			continue
		}
		refused = append(refused, refusal(u, branch, app, advice))
	}
	if len(refused) == 0 {
		return deploys, nil
	}
	if found {
		refused = append(
			refused,
			fmt.Sprintf(
				"%s is not deployed either: a push is taken as a whole. "+
					"Push it alone: git push paas %s",
				branch, cmdline.Quote(branch),
			),
		)
	}
	return update{}, refused
}

func refusal(u update, branch, app string, advice func(volume.Remedy) string) string {
	if u.ref == git.Branch(branch) {
		return fmt.Sprintf("%s cannot be deleted: it is what runs; %s",
			branch, advice(volume.Remedy{Do: volume.DestroyApp, App: app}))
	}
	short, isBranch := strings.CutPrefix(u.ref, "refs/heads/")
	tag, isTag := strings.CutPrefix(u.ref, "refs/tags/")
	shown := plain(u.ref, 200)
	switch {
	case isBranch:
		shown = plain(short, 200)
		if u.delete {
			return fmt.Sprintf(
				"%s is nothing to delete: only %s is deployed from here", shown, branch,
			)
		}
		return fmt.Sprintf(
			"%s does not deploy here; %s does. To deploy it: git push paas %s", shown, branch,
			cmdline.Quote(shown+":"+branch),
		)
	case isTag:
		return fmt.Sprintf(
			"the tag %s is not stored here; only %s is. "+
				"To deploy: git push --no-follow-tags paas %s",
			plain(tag, 200), branch, cmdline.Quote(branch),
		)
	}
	return fmt.Sprintf(
		"%s is not stored here; only %s is. To deploy: git push paas %s", shown, branch,
		cmdline.Quote(branch),
	)
}

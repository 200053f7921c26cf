package runtime

import (
	"fmt"
	"io"
	"strings"

	"paas/formation"
	"paas/say"
)

// sayStorage shows which folders of the tree are kept across releases. The error says why they
// cannot be.
func (i *instance) sayStorage(out io.Writer) error {
	kept := i.image.Storage
	if len(kept) == 0 {
		return nil
	}
	if i.built.Static != "" && i.built.Processes[formation.Web] == "" {
		return fault{
			fmt.Errorf("storage: nothing can be kept in %s: "+
				"static files are served as they were built", kept[0]),
			"an app with a web process can keep folders",
		}
	}
	if err := i.loop.app.CheckStorage(i.release, kept); err != nil { // the build may have changed it
		return err
	}
	say.Step(out, "Keeping %s across releases", strings.Join(kept, ", "))
	return nil
}

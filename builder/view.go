package builder

// View is how commands see the folders of this machine. The builder itself uses this machine's
// paths everywhere, also for what it hands to commands: the confinement changes that. What commands
// print or write has the paths that they see.
type View interface {
	Inside(text string) string  // text with the paths that commands see in place of this machine's
	Outside(text string) string // the other way
}

// sameView is the view of commands that see folders at their own paths.
type sameView struct{}

func (sameView) Inside(text string) string  { return text }
func (sameView) Outside(text string) string { return text }

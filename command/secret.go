package command

// Secret is text that is stars wherever it is printed, encoded or logged. A row whose purpose is to
// hand it over says so with [Secret.Reveal].
type Secret string

const stars = "******"

func (Secret) String() string { return stars }

func (Secret) GoString() string { return stars }

func (Secret) MarshalText() ([]byte, error) { return []byte(stars), nil }

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

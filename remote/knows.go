package remote

// Knows says whether a key of url's host is among the known_hosts lines: true where url is not ssh,
// or lines is no such text, since there is nothing then that a host's key would add.
func Knows(lines []byte, url string) bool {
	at, err := parse(url)
	if err != nil || at.scheme != "ssh" {
		return true
	}
	known, err := knownHosts(at, lines)
	return err != nil || len(known.algorithms) > 0
}

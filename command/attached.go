package command

import (
	"fmt"

	"paas/attach"
)

// attach asks the app's runtime to run a command, and waits for its end.
func (c *Call) attach(r attach.Request, s attach.Streams) error {
	conn, err := c.Volume.Dial(c, "run/app")
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	status, err := attach.Run(c, conn, r, s)
	switch {
	case c.Err() != nil:
		return c.Err()
	case err != nil:
		return &Fault{Kind: Failed, Err: err, Status: status}
	case status != 0:
		return Exit(status)
	}
	return nil
}

package receiver

import "paas/frame"

// The frames between a hook and the server.
const (
	// From the hook, in this order.
	frameToken frame.Kind = 't' // which push this is
	frameName  frame.Kind = 'n' // pre-receive or post-receive
	frameEnv   frame.Kind = 'v' // KEY=VALUE, any number
	frameLine  frame.Kind = 'l' // a line of the hook's input, any number
	frameEnd   frame.Kind = '.' // the input has ended

	// From the server.
	frameOut  frame.Kind = 'o' // bytes for the pusher, any number
	frameExit frame.Kind = 'x' // one byte: the status the hook ends with
)

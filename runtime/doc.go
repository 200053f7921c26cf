// Package runtime decides what runs and when: it has releases built, boots them beside the live
// one, checks their health, switches the traffic, and keeps what is live running, or asleep while
// nobody uses it. It finds its work on the volume and records the results there. It knows
// neither git nor ssh, talks to the HTTP front through [Front], and asks an [engine.Engine] to run
// processes: it says what should run, not how.
//
// Static sites need no process: it serves them itself.
package runtime

// Package host joins the rooms below it into what a program needs: which tokens
// there are, how to open one, and how to keep all of them open as they come and
// go.
//
// [Find] lists tokens and [OpenToken] opens the one that is meant, over the road
// that [Options] name: the device's own USB endpoints, a smart-card service that
// has the device, or a token in software. [Follow] starts a [Supervisor], which
// owns a reader for each device that is plugged in, or watches those of a service,
// and tells its subscribers; [Supervise] does the same over a [Source] and a
// [Driver] of the caller's.
//
// Errors of opening say what the user can do about them: see [Hint]. Everything
// is logged here, through logrus and with fields, and nothing below logs. Bodies
// of commands that carry a PIN are in no log at any level.
package host

"""One way to ask for anything: typed requests, answered in this process or by the daemon over its socket."""

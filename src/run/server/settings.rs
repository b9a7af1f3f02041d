//! The server's command line.

use crate::run::options::Program;
use getopts::Options;

pub(super) const PROGRAM: Program = Program {
    name: "ax436",
    brief: "ax436, the server of Project 436: configures the agents of a network and writes their events to one stream.\n\n\
            Usage: ax436 [options] CONF\n\
            \x20      ax436 -t CONF\n\
            \x20      ax436 -T HOSTFILE LOG [CONF]\n\
            \x20      ax436 -g [HOST [CONF]]",
    add_options,
};

fn add_options(options: &mut Options) {
    options
        .optflag("t", "test", "check CONF, its key file and all host and include files, print every error, and exit")
        .optopt(
            "T",
            "try",
            "apply the rules of HOSTFILE to the lines of LOG (- for standard input), print the events, and exit; includes come from CONF",
            "HOSTFILE",
        )
        .optflag("g", "generate", "print a new key, or with HOST the key derived for HOST from the master key of CONF, and exit")
        .optopt("l", "log", "write the log to FILE, - for standard error, syslog for syslog (default ax436.log)", "FILE");
}

//! How large datagrams are, and how much one of them may ask for.

/// Most bytes of one UDP datagram over IPv4, and so of a version 1 CONFIG.
pub const MAX_DATAGRAM: usize = 65_507;

/// Most bytes of the text in one CONF. With the longest host name and a MAC the datagram stays within 1,200 bytes.
pub const MAX_PART_TEXT: usize = 848;

/// Most parts that one NEED may ask for, and so the most that a server sends at once.
pub const MAX_PARTS_AT_ONCE: usize = 16;

/// Most parts of one configuration.
pub const MAX_PARTS: u32 = 1024;

/// Most bytes of one configuration. [`MAX_PARTS`] always suffice for it, although a part that ends before a multi-byte character is up to
/// three bytes shorter than [`MAX_PART_TEXT`].
pub const MAX_CONFIGURATION: usize = 480 * 1024;

/// Most chains that one SEEK may ask for.
pub const MAX_CHAINS_AT_ONCE: usize = 16;

/// Bytes of a HELLO with the longest host name and a MAC.
pub const MAX_HELLO: usize = 367;

/// Most series of events that wait for a predecessor in one DONE.
pub const MAX_HELD: usize = 8;

/// Most bytes of a datagram, except one with a long text or position.
pub const MAX_USUAL_DATAGRAM: usize = 1200;

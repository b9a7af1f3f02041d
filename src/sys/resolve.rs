//! Host names to IPv4 addresses, by the C library's resolver.
#![allow(unsafe_code, reason = "getaddrinfo")]

use std::ffi::{CStr, CString};
use std::net::Ipv4Addr;
use std::ptr::{null, null_mut};

/// The first IPv4 address of a host. Waits for name servers, for a minute or more if they do not answer: call it in a
/// [`ChildProcess`](super::child::ChildProcess).
///
/// # Errors
/// The name has no IPv4 address, or the resolver failed; the text is that of `gai_strerror(3)`.
pub fn ipv4_address(host: &str) -> Result<Ipv4Addr, String> {
    let name = CString::new(host).map_err(|_| "the name contains a zero byte")?;
    // SAFETY: every field is a number or a pointer, so that all zeros are a value.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = libc::AF_INET;
    hints.ai_socktype = libc::SOCK_DGRAM;
    let mut list: *mut libc::addrinfo = null_mut();
    // SAFETY: the name ends in zero, and all arguments outlive the call.
    match unsafe { libc::getaddrinfo(name.as_ptr(), null(), &hints, &mut list) } {
        0 => {}
        libc::EAI_SYSTEM => return Err(super::error::reason(&std::io::Error::last_os_error())),
        // SAFETY: the text ends in zero and stays valid: no other call follows before it is copied.
        code => return Err(unsafe { CStr::from_ptr(libc::gai_strerror(code)) }.to_string_lossy().into_owned()),
    }
    // SAFETY: on success the list has at least one entry. The hints ask for IPv4, so that its address is a `sockaddr_in`. The list is
    // freed once, after the address was copied.
    let address = unsafe {
        let address = (*list).ai_addr.cast::<libc::sockaddr_in>().read_unaligned();
        libc::freeaddrinfo(list);
        address
    };
    Ok(u32::from_be(address.sin_addr.s_addr).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_resolver_knows_is_found() {
        // It knows that without a hosts file, which a minimal system may lack.
        assert_eq!(ipv4_address("127.1"), Ok(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn invalid_names_have_no_address() {
        for name in ["", "two words", "a\0b", &"x".repeat(300)] {
            assert!(ipv4_address(name).is_err(), "{name:?}");
        }
    }
}

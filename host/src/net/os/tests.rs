//! What only real sockets can show: how connections begin and fail, and who may listen.

use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn loopback(port: u16) -> Address {
    Address::Tcp(([127, 0, 0, 1], port).into())
}

/// Connects, and waits for the answer.
fn dial(net: &mut OsNet, to: &Address, from: Option<IpAddr>) -> io::Result<OsStream> {
    let mut stream = net.connect(to, from)?;
    net.watch(&mut stream, 7)?;
    let mut ready = Vec::new();
    loop {
        net.poll(None, &mut ready)?;
        if ready.drain(..).any(|edge| edge.token == 7 && (edge.writable || edge.failed))
            && net.connected(&mut stream)?
        {
            return Ok(stream);
        }
    }
}

/// Accepts one connection, from a listener that isn't watched.
fn accept(net: &mut OsNet, listener: &mut OsListener) -> (OsStream, Address) {
    loop {
        match net.accept(listener) {
            Ok(accepted) => return accepted,
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
    }
}

fn read_all(net: &mut OsNet, stream: &mut OsStream) -> Vec<u8> {
    let (mut all, mut part) = (Vec::new(), [0; 64]);
    loop {
        match net.read(stream, &mut part) {
            Ok(0) => return all,
            Ok(length) => all.extend(&part[..length]),
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
    }
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.err().expect("it fails").kind()
}

#[test]
fn a_connection_is_made_from_the_address_that_was_asked_for() {
    let mut net = OsNet::new().unwrap();
    let mut listener = net.listen(&loopback(0), 5, None).unwrap();
    let at = net.listener_address(&listener).unwrap();
    let mut near = dial(&mut net, &at, Some([127, 0, 0, 2].into())).unwrap();
    let (mut far, peer) = accept(&mut net, &mut listener);
    assert_eq!(net.local_address(&near).unwrap(), peer);
    assert!(peer.to_string().starts_with("tcp:127.0.0.2:"), "{peer}");
    assert!(sockopt::tcp_nodelay(&near).unwrap());
    net.write(&mut near, &[IoSlice::new(b"hello")], false).unwrap();
    net.shutdown_write(&mut near).unwrap();
    assert_eq!(read_all(&mut net, &mut far), b"hello");
}

#[test]
fn a_failure_is_told_once() {
    let mut net = OsNet::new().unwrap();
    let free = OsListener::probe(([127, 0, 0, 1], 0).into()).unwrap().port();
    assert_eq!(kind(dial(&mut net, &loopback(free), None)), ErrorKind::ConnectionRefused);
    let mut stream = net.connect(&loopback(free), None).unwrap();
    let told = loop {
        match net.connected(&mut stream) {
            Ok(connected) => assert!(!connected),
            Err(e) => break e,
        }
    };
    assert_eq!(told.kind(), ErrorKind::ConnectionRefused);
    assert!(!net.connected(&mut stream).unwrap());
    let six = "[::1]:80".parse().map(Address::Tcp).unwrap();
    assert_eq!(kind(net.connect(&six, Some([127, 0, 0, 1].into()))), ErrorKind::InvalidInput);
}

#[test]
fn an_address_of_ipv4_in_ipv6_leads_nowhere() {
    let mut net = OsNet::new().unwrap();
    let listener = net.listen(&loopback(0), 5, None).unwrap();
    let Address::Tcp(at) = net.listener_address(&listener).unwrap() else { panic!() };
    let mapped = Address::Tcp((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), at.port()).into());
    assert!(dial(&mut net, &mapped, None).is_err());
}

#[test]
fn a_port_is_taken_once() {
    let mut net = OsNet::new().unwrap();
    let first = net.listen(&loopback(0), 5, None).unwrap();
    let at = net.listener_address(&first).unwrap();
    assert_eq!(kind(net.listen(&at, 5, None)), ErrorKind::AddrInUse);
    net.close_listener(first);
    assert!(net.listen(&at, 5, None).is_ok());
}

#[test]
fn unix_sockets_are_connected_at_once_or_not_at_all() {
    let mut net = OsNet::new().unwrap();
    let path = std::env::temp_dir().join(format!("torsade-net-{}", std::process::id()));
    let at = Address::Unix(path.to_str().unwrap().into());
    assert_eq!(kind(net.connect(&at, None)), ErrorKind::NotFound);
    let mut listener = net.listen(&at, 1, Some(0o600)).unwrap();
    assert_eq!(net.listener_address(&listener).unwrap(), at);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut near = dial(&mut net, &at, None).unwrap();
    let (mut far, _) = accept(&mut net, &mut listener);
    net.write(&mut near, &[IoSlice::new(b"hello")], false).unwrap();
    net.close(near);
    assert_eq!(read_all(&mut net, &mut far), b"hello");
    // Neither a full backlog nor a live listener holds anybody up.
    let mut waiting = Vec::new();
    let full = loop {
        match net.connect(&at, None) {
            Ok(stream) => waiting.push(stream),
            Err(e) => break e,
        }
    };
    assert_eq!(full.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(kind(net.listen(&at, 5, None)), ErrorKind::AddrInUse);
    net.close_listener(listener);
    assert!(!path.exists());
}

#[test]
fn what_a_dead_listener_left_is_replaced_and_a_file_is_not() {
    let mut net = OsNet::new().unwrap();
    let path = std::env::temp_dir().join(format!("torsade-stale-{}", std::process::id()));
    let at = Address::Unix(path.to_str().unwrap().into());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert_eq!(kind(net.connect(&at, None)), ErrorKind::ConnectionRefused);
    let listener = net.listen(&at, 5, None).unwrap();
    net.close_listener(listener);
    File::create(&path).unwrap().write_all(b"mine").unwrap();
    assert_eq!(kind(net.listen(&at, 5, None)), ErrorKind::AddrInUse);
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn abstract_names_need_no_file_and_must_not_be_empty() {
    let mut net = OsNet::new().unwrap();
    let at = Address::Unix(format!("@torsade-net-{}", std::process::id()).into());
    let listener = net.listen(&at, 5, None).unwrap();
    assert_eq!(net.listener_address(&listener).unwrap(), at);
    assert!(dial(&mut net, &at, None).is_ok());
    assert_eq!(kind(net.listen(&at, 5, None)), ErrorKind::AddrInUse);
    for empty in ["", "@"] {
        let empty = Address::Unix(empty.into());
        assert_eq!(kind(net.connect(&empty, None)), ErrorKind::InvalidInput);
        assert_eq!(kind(net.listen(&empty, 5, None)), ErrorKind::InvalidInput);
    }
}

#[test]
fn a_connection_to_itself_is_refused() {
    let mut net = OsNet::new().unwrap();
    let socket = socket::tcp_socket(([127, 0, 0, 1], 0).into()).unwrap();
    rustix::net::bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let own = rustix::net::getsockname(&socket).unwrap();
    // It is made at once, or a moment later.
    let _ = rustix::net::connect(&socket, &own);
    let mut stream = OsStream::Tcp(mio::net::TcpStream::from_std(socket.into()));
    let told = loop {
        match net.connected(&mut stream) {
            Ok(connected) => assert!(!connected),
            Err(e) => break e,
        }
    };
    assert_eq!(told.kind(), ErrorKind::ConnectionRefused);
}

/// The first datagrams that come.
fn received(net: &mut OsNet, socket: &mut OsDatagrams) -> Batch {
    let mut batch = Batch::default();
    loop {
        match net.receive(socket, &mut batch) {
            Ok(_) => return batch,
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
    }
}

#[test]
fn a_socket_gets_no_group_that_another_has_joined() {
    let mut net = OsNet::new().unwrap();
    let at = "0.0.0.0:0".parse().unwrap();
    let place = Place::Udp { at, dual: false, reuse: false, broadcast: false };
    let dual =
        Place::Udp { at: "[::]:0".parse().unwrap(), dual: true, reuse: false, broadcast: false };
    for place in [place, dual] {
        let mut socket = net.bind(&place).unwrap();
        let Address::Udp(bound) = net.datagrams_address(&socket).unwrap() else { unreachable!() };
        let (here, group) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(239, 77, 7, 7));
        let member = std::net::UdpSocket::bind((here, 0)).unwrap();
        member.join_multicast_v4(&group, &here).unwrap();
        sockopt::set_ip_multicast_if(&member, &here).unwrap();
        member.send_to(b"to others", (group, bound.port())).unwrap();
        member.send_to(b"to it", (here, bound.port())).unwrap();
        assert_eq!(received(&mut net, &mut socket).data, b"to it");
    }
}

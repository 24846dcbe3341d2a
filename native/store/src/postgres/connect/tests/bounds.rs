//! A server that exceeds the limits on what it may send.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;
use crate::error::chain;

/// How many bytes a fake server could send until the connection was closed, and the error of the connection.
fn sent_by(server: impl FnOnce(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> (u64, ConnectError) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let attacker = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 8]).unwrap(); // it asks for TLS
        stream.write_all(b"N").unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut start = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut start).unwrap();
        let mut sent = 0;
        if server(&mut stream).is_ok() {
            let zeros = [0; 65536];
            while let Ok(written) = stream.write(&zeros) {
                sent += written as u64;
            }
        }
        sent
    });
    let error = query(&format!("postgres://u@127.0.0.1:{port}/d"), "SELECT 1").unwrap_err();
    (attacker.join().unwrap(), error)
}

/// The header of a message of this length.
fn announced(kind: u8, length: u32) -> Vec<u8> {
    [vec![kind], length.to_be_bytes().to_vec()].concat()
}

#[test]
fn a_message_that_is_announced_too_long_is_not_waited_for() {
    // More than the buffers of the two sockets.
    let most = 32 << 20;
    for kind in [b'R', b'E', b'N', b'S'] {
        let (sent, error) = sent_by(move |stream| stream.write_all(&announced(kind, 0x7fff_ffff)));
        assert!(error.to_string().contains("a message of 2147483647 bytes"), "{error}");
        assert!(sent < most, "{sent} bytes were taken");
    }
}

#[test]
fn short_messages_without_end_do_not_fill_memory_either() {
    for kind in [b'N', b'S'] {
        let (_, error) = sent_by(move |stream| {
            let notice = [announced(kind, 60_004), b"x".repeat(59_998), b"\0\0".to_vec()].concat();
            stream.write_all(&[&announced(b'R', 8)[..], &[0; 4]].concat())?;
            (0..100).try_for_each(|_| stream.write_all(&notice))
        });
        assert!(error.to_string().contains("its messages before the log-in was done"), "{error}");
    }
}

#[test]
fn a_row_or_an_answer_that_is_too_long_ends_the_connection_with_the_reason() {
    let server = TlsServer::shared();
    for parameters in ["sslmode=disable", "sslmode=require"] {
        let url = server.url("postgres", "db.example.com", parameters);
        for (sql, what) in [
            ("SELECT repeat('x', 2000000)", "a message of 200"),
            ("SELECT repeat('x', 1000000) FROM generate_series(1, 80)", "the rows of an answer"),
        ] {
            block_on(async {
                let (client, mut connection) = target(&url, &TIMEOUTS).connect().await.unwrap();
                let asking = client.simple_query(sql);
                let reason = async move {
                    loop {
                        match poll_fn(|cx| connection.poll_message(cx)).await {
                            Some(Ok(_)) => (),
                            Some(Err(error)) => return chain(&error),
                            None => panic!("the connection ended in order"),
                        }
                    }
                };
                let (answer, reason) = tokio::join!(asking, reason);
                answer.unwrap_err();
                assert!(
                    reason.contains(what) && reason.contains("the tables of domains hold nothing else"),
                    "{reason}"
                );
            });
        }
    }
    assert_eq!(query(&format!("postgres://postgres@{}", socket(&server.server)), "SELECT 1").unwrap(), "1");
}

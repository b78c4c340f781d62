//! The admin address, which anybody in the cluster can reach who is not kept from it by a NetworkPolicy.

use std::{net::Ipv4Addr, time::Duration};

use futures::{StreamExt, stream};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{Failure, attacker::Field};

/// Connections that say something and then wait.
async fn connect(field: &Field<'_>, number: usize, said: &[u8]) -> Vec<TcpStream> {
    let streams = stream::iter(0..number).map(|_| async {
        let connecting = TcpStream::connect((Ipv4Addr::LOCALHOST, field.port));
        let mut stream = tokio::time::timeout(Duration::from_secs(2), connecting).await.ok()?.ok()?;
        // One that is closed by the other side is what should happen.
        let _ = stream.write_all(said).await;
        Some(stream)
    });
    streams.buffer_unordered(64).filter_map(std::future::ready).collect().await
}

/// As many as the number of open files lets this program have.
pub async fn half_sent(field: &Field<'_>) -> Result<(), Failure> {
    let head = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: ";
    let said = [head.as_slice(), "y".repeat(8_000).as_bytes()].concat();
    let held = connect(field, field.plan.number(3_000, 8_000), &said).await;
    field.hold().await;
    field.hold().await;
    drop(held);
    Ok(())
}

pub async fn large(field: &Field<'_>) -> Result<(), Failure> {
    let head = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n";
    let mut held = connect(field, 50, head).await;
    for stream in &mut held {
        let writing = async {
            let piece = vec![b'x'; 65_536];
            for _ in 0..64 {
                stream.write_all(&piece).await?;
            }
            std::io::Result::Ok(())
        };
        let _ = tokio::time::timeout(Duration::from_millis(100), writing).await;
    }
    // Many requests on one connection whose answers nobody reads.
    let many = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2_000);
    let mut unread = connect(field, 50, b"").await;
    for stream in &mut unread {
        let _ = tokio::time::timeout(Duration::from_millis(100), stream.write_all(&many)).await;
    }
    let mut headers = connect(field, 100, b"GET /healthz HTTP/1.1\r\n").await;
    for stream in &mut headers {
        let _ = stream.write_all("a: b\r\n".repeat(20_000).as_bytes()).await;
    }
    field.hold().await;
    Ok(())
}

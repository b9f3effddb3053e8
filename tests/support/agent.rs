//! An SSH agent inside the test process.

use std::path::Path;

use russh::keys::PrivateKey;
use russh::keys::signature::Signer;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::Signature;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::net::UnixStream;

const FAILURE: u8 = 5;
const LIST: u8 = 11;
const LISTED: u8 = 12;
const SIGN: u8 = 13;
const SIGNED: u8 = 14;

/// Serves the keys, which sign whatever they are asked to, on a socket.
pub fn serve(socket: &Path, keys: Vec<PrivateKey>) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, keys.clone()));
        }
    });
}

async fn talk(mut stream: UnixStream, keys: Vec<PrivateKey>) {
    while let Ok(length) = stream.read_u32().await {
        let mut request = vec![0; length as usize];
        stream.read_exact(&mut request).await.unwrap();
        let mut answer = Vec::new();
        match request[0] {
            LIST => {
                answer.push(LISTED);
                u32::try_from(keys.len()).unwrap().encode(&mut answer).unwrap();
                for key in &keys {
                    key.public_key().to_bytes().unwrap().encode(&mut answer).unwrap();
                    key.comment().to_string().encode(&mut answer).unwrap();
                }
            }
            SIGN => {
                let (blob, rest) = string(&request[1..]);
                let (data, _) = string(rest);
                match keys.iter().find(|key| key.public_key().to_bytes().unwrap() == blob) {
                    Some(key) => {
                        let signature: Signature = key.try_sign(data).unwrap();
                        let mut encoded = Vec::new();
                        signature.encode(&mut encoded).unwrap();
                        answer.push(SIGNED);
                        encoded.encode(&mut answer).unwrap();
                    }
                    None => answer.push(FAILURE),
                }
            }
            _ => answer.push(FAILURE),
        }
        stream.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

fn string(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    bytes[4..].split_at(length)
}

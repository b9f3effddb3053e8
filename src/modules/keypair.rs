//! WireGuard key pairs, byte for byte what `wg genkey` and `wg pubkey` make and accept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore as _;
use x25519_dalek::PublicKey;
use x25519_dalek::StaticSecret;

/// A new private key in base64, 44 characters, clamped as `wg genkey` does.
pub fn generate() -> String {
    let mut bytes = [0u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes[0] &= 248;
    bytes[31] = (bytes[31] & 127) | 64;
    STANDARD.encode(bytes)
}

/// The public key of a private one, both in base64. The error does not show the key.
pub fn public(private: &str) -> Result<String, String> {
    let bytes = STANDARD.decode(private.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let bytes = bytes.ok_or("a WireGuard key is 44 characters of base64; this one is not")?;
    Ok(STANDARD.encode(PublicKey::from(&StaticSecret::from(bytes)).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vector_of_rfc_7748() {
        let alice = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
        assert_eq!(public(alice).unwrap(), "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
    }

    #[test]
    fn generated_keys_are_clamped_and_differ() {
        let keys: Vec<String> = (0..50).map(|_| generate()).collect();
        for key in &keys {
            let bytes = STANDARD.decode(key).unwrap();
            assert_eq!((bytes[0] & 7, bytes[31] & 192), (0, 64));
        }
        assert_eq!(keys.iter().collect::<std::collections::HashSet<_>>().len(), 50);
    }

    #[test]
    fn bad_keys_are_refused_without_being_shown() {
        assert!(!public("sekret").unwrap_err().contains("sekret"));
    }
}

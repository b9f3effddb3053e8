//! The SSH agent: which keys it has, and letting it sign.
//!
//! Does not know which host is logged in to.

use std::path::Path;
use std::time::Duration;

use russh::keys::PublicKey;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// An agent answers at once, or not at all.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) struct Agent {
    pub(super) client: AgentClient<UnixStream>,
    pub(super) identities: Vec<AgentIdentity>,
}

impl Agent {
    /// Connects and asks for the list of keys.
    ///
    /// # Errors
    /// Why there is no agent, in a few words.
    pub(super) async fn connect(socket: &Path) -> Result<Agent, String> {
        let talk = async {
            let mut client = AgentClient::connect_uds(socket).await?;
            let identities = client.request_identities().await?;
            Ok(Agent { client, identities })
        };
        match timeout(LIMIT, talk).await {
            Ok(Ok(agent)) => Ok(agent),
            Ok(Err(russh::keys::Error::IO(error))) => Err(format!("no agent at {}: {error}", socket.display())),
            Ok(Err(error)) => Err(format!("the agent at {} failed: {error}", socket.display())),
            Err(_) => Err(format!("the agent at {} does not answer", socket.display())),
        }
    }

    /// The identity that is this key, not a certificate for it.
    pub(super) fn holds(&self, key: &PublicKey) -> Option<AgentIdentity> {
        let same = |identity: &&AgentIdentity| matches!(identity, AgentIdentity::PublicKey { key: held, .. } if held.key_data() == key.key_data());
        self.identities.iter().find(same).cloned()
    }
}

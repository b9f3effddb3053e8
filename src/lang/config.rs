//! `ansible.cfg`: the few settings that mean something here.
//!
//! Pure: gets the text, not the file.

use std::path::PathBuf;

/// Settings; `None` where nothing was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from.
    pub file: Option<PathBuf>,
    pub inventory: Vec<String>,
    pub roles_path: Vec<PathBuf>,
    pub remote_user: Option<String>,
    pub private_key_file: Option<PathBuf>,
    /// Whether host keys are checked; the default is yes.
    pub host_key_checking: Option<bool>,
    /// Seconds until a connection attempt is given up.
    pub timeout: Option<u64>,
    pub r#become: Option<bool>,
    pub become_user: Option<String>,
    pub become_method: Option<String>,
    pub become_ask_pass: Option<bool>,
    pub remote_port: Option<u16>,
    pub force_handlers: Option<bool>,
    pub any_errors_fatal: Option<bool>,
    pub gathering_explicit: Option<bool>,
}

//! The keywords of `ssh_config`, and what becomes of each.
//!
//! Knows nothing of files or hosts.

/// A keyword that is obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    AddressFamily,
    ConnectTimeout,
    GlobalKnownHostsFile,
    HashKnownHosts,
    HostKeyAlias,
    HostName,
    IdentitiesOnly,
    IdentityAgent,
    IdentityFile,
    Port,
    ProxyCommand,
    ProxyJump,
    ServerAliveCountMax,
    ServerAliveInterval,
    StrictHostKeyChecking,
    User,
    UserKnownHostsFile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Obeyed(Key),
    /// Cannot change anything for commands without a terminal: forwardings, multiplexing, logging.
    Moot,
    /// Would change something, and is not obeyed: the user is told.
    Unsupported,
    Unknown,
}

const OBEYED: &[(&str, Key)] = &[
    ("addressfamily", Key::AddressFamily),
    ("connecttimeout", Key::ConnectTimeout),
    ("globalknownhostsfile", Key::GlobalKnownHostsFile),
    ("hashknownhosts", Key::HashKnownHosts),
    ("hostkeyalias", Key::HostKeyAlias),
    ("hostname", Key::HostName),
    ("identitiesonly", Key::IdentitiesOnly),
    ("identityagent", Key::IdentityAgent),
    ("identityfile", Key::IdentityFile),
    ("port", Key::Port),
    ("proxycommand", Key::ProxyCommand),
    ("proxyjump", Key::ProxyJump),
    ("serveralivecountmax", Key::ServerAliveCountMax),
    ("serveraliveinterval", Key::ServerAliveInterval),
    ("stricthostkeychecking", Key::StrictHostKeyChecking),
    ("user", Key::User),
    ("userknownhostsfile", Key::UserKnownHostsFile),
];

const MOOT: &str = "addkeystoagent batchmode channeltimeout checkhostip clearallforwardings compression \
    connectionattempts controlmaster controlpath controlpersist dynamicforward enableescapecommandline \
    enablesshkeysign escapechar exitonforwardfailure fingerprinthash forkafterauthentication forwardagent forwardx11 \
    forwardx11timeout forwardx11trusted gatewayports gssapiauthentication gssapidelegatecredentials \
    gssapikeyexchange gssapirenewalforcesrekey gssapitrustdns hostbasedacceptedalgorithms hostbasedauthentication \
    ignoreunknown ipqos localcommand localforward loglevel logverbose numberofpasswordprompts \
    obscurekeystroketiming permitlocalcommand permitremoteopen proxyusefdpass rekeylimit remoteforward requesttty \
    sendenv sessiontype stdinnull streamlocalbindmask streamlocalbindunlink syslogfacility tag tcpkeepalive \
    updatehostkeys usekeychain verifyhostkeydns versionaddendum visualhostkey warnweakcrypto xauthlocation";

const UNSUPPORTED: &str = "bindaddress bindinterface canonicaldomains canonicalizefallbacklocal \
    canonicalizehostname canonicalizemaxdots canonicalizepermittedcnames casignaturealgorithms certificatefile \
    challengeresponseauthentication ciphers hostkeyalgorithms kbdinteractiveauthentication kbdinteractivedevices \
    kexalgorithms knownhostscommand macs nohostauthenticationforlocalhost passwordauthentication pkcs11provider \
    preferredauthentications pubkeyacceptedalgorithms pubkeyacceptedkeytypes pubkeyauthentication refuseconnection \
    remotecommand requiredrsasize revokedhostkeys securitykeyprovider setenv";

/// What a keyword means; `word` is in lower case.
pub(super) fn meaning(word: &str) -> Meaning {
    if let Some((_, key)) = OBEYED.iter().find(|(name, _)| *name == word) {
        Meaning::Obeyed(*key)
    } else if MOOT.split(' ').any(|name| name == word) {
        Meaning::Moot
    } else if UNSUPPORTED.split(' ').any(|name| name == word) {
        Meaning::Unsupported
    } else {
        Meaning::Unknown
    }
}

/// All keywords, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let obeyed = OBEYED.iter().map(|(name, _)| *name);
    obeyed.chain(MOOT.split(' ')).chain(UNSUPPORTED.split(' ')).chain(["host", "match", "include"])
}

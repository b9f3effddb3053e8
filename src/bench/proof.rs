//! Whether the requests went where they should: the counters of the tunnel must account for the answers.

use crate::results::record::PathProof;
use crate::results::record::Record;
use crate::results::record::Tunnel;
use crate::results::sample::Sample;
use crate::results::taken::Through;

/// The tunnel's host receives all answers through it, so that it must have received at least their bodies.
pub(super) fn prove(record: &Record, tunnel: &Through, samples: &[Sample]) -> PathProof {
    let bytes_of_requests = samples.iter().map(|sample| sample.bytes).sum();
    let proof = |bytes_over_tunnel, valid, why: String| PathProof {
        interface: tunnel.interface.clone(),
        bytes_over_tunnel,
        bytes_of_requests,
        valid,
        why: Some(why),
    };
    let name = format!("{} of {}", tunnel.interface, tunnel.host);
    let find = |list: &[Tunnel]| {
        let found = list.iter().find(|one| one.host == tunnel.host && one.interface == tunnel.interface);
        found.map(|one| one.rx_bytes)
    };
    let around = record.tunnels.as_ref();
    let (before, after) =
        (around.and_then(|around| find(&around.before)), around.and_then(|around| find(&around.after)));
    let (Some(before), Some(after)) = (before, after) else {
        let when = if before.is_none() { "before" } else { "after" };
        return proof(0, false, format!("the counters of {name} were not read {when} the measurement"));
    };
    let Some(over) = after.checked_sub(before) else {
        return proof(0, false, format!("the counters of {name} went back: the tunnel was made anew meanwhile"));
    };
    match over >= bytes_of_requests {
        true => proof(over, true, format!("{name} received {over} bytes, the answers have {bytes_of_requests}")),
        false => proof(
            over,
            false,
            format!(
                "{name} received only {over} bytes, but the answers have {bytes_of_requests}: they came another way"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::record::Around;

    #[test]
    fn counters_account_for_the_answers_or_not() {
        let tunnel = Through { host: "m".into(), interface: "wg0".into() };
        let samples = vec![Sample { bytes: 100, ..Sample::default() }; 3];
        let counted = |rx_bytes| vec![Tunnel { host: "m".into(), interface: "wg0".into(), rx_bytes, tx_bytes: 0 }];
        for (before, after, valid, why) in [
            (counted(10), counted(310), true, "received 300 bytes, the answers have 300"),
            (counted(10), counted(309), false, "they came another way"),
            (counted(10), counted(9), false, "the tunnel was made anew"),
            (counted(10), Vec::new(), false, "not read after"),
            (Vec::new(), Vec::new(), false, "not read before"),
        ] {
            let record = Record { tunnels: Some(Around { before, after }), ..Record::default() };
            let proof = prove(&record, &tunnel, &samples);
            assert_eq!((proof.valid, proof.bytes_of_requests), (valid, 300), "{proof:?}");
            assert!(proof.why.as_ref().unwrap().contains(why), "{proof:?}");
        }
        assert!(!prove(&Record::default(), &tunnel, &samples).valid);
    }
}

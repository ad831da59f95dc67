// SPDX-License-Identifier: GPL-2.0

//! Why the kernel refused something, and what to do: by the error, and by what it says of the
//! interface.

use crate::device::Device;
use crate::failure::Failure;
use crate::options::{Mode, Options, MOST_CHUNK};
use std::io;

/// What XDP leaves free in front of a frame.
const XDP_HEADROOM: u32 = 256;
/// What is around a packet of the MTU, with a VLAN tag.
const ETHERNET: u32 = 18;
/// The same as the kernel has it for zero-copy: with two tags, and a checksum.
const AROUND: u32 = 26;
/// What it leaves free behind frames that may be in several chunks, in lines of so many bytes.
const TAILROOM: u32 = 320;
const LINE: u32 = 128;

/// No socket, or none for such memory.
pub fn memory(options: &Options, why: io::Error) -> Failure {
    let size = options.frame_size;
    let (what, advice) = match why.raw_os_error() {
        Some(libc::EPERM) => (
            "AF_XDP socket",
            "AF_XDP sockets need CAP_NET_RAW: run as root, or `setcap cap_net_raw+ep` this program \
             (to attach a program it needs cap_net_admin and cap_bpf too)"
                .to_owned(),
        ),
        Some(libc::EAFNOSUPPORT) => (
            "AF_XDP socket",
            "this kernel was built without CONFIG_XDP_SOCKETS".to_owned(),
        ),
        Some(libc::ENOBUFS) => (
            "memory of frames",
            "it may not be locked: raise `ulimit -l`, run as root, or take fewer --chunks"
                .to_owned(),
        ),
        Some(libc::EINVAL) => (
            "memory of frames",
            format!(
                "--frame-size={size} with --headroom={}: the kernel takes chunks from 2048 bytes to \
                 a page (4096), with at least {LINE} bytes for a frame behind {XDP_HEADROOM} of its own \
                 and in front of {TAILROOM} more",
                options.headroom
            ),
        ),
        _ => ("memory of frames", "take fewer --chunks".to_owned()),
    };
    Failure::new(what, why).advise([advice])
}

/// No program on the interface.
pub fn program(device: &Device, options: &Options, why: io::Error) -> Failure {
    let name = &device.name;
    let mut advice = Vec::new();
    match why.raw_os_error() {
        _ if why.kind() == io::ErrorKind::PermissionDenied => advice.push(
            "attaching a program needs CAP_NET_ADMIN and CAP_BPF: run as root; or have it attached \
             already, and name its XSKMAP by --map"
                .to_owned(),
        ),
        Some(libc::EBUSY | libc::EEXIST) => advice.push(format!(
            "another program is there: end who has it, or `ip link set dev {name} xdp off`; or name its \
             XSKMAP by --map (processes like this share theirs, if all of them or none have --frags, \
             and none --shared-umem)"
        )),
        Some(libc::ERANGE) => advice.push(format!(
            "the MTU of {name}, or of its far end, is too large for frames in one buffer: set --frags, or \
             lower that"
        )),
        Some(libc::EOPNOTSUPP) => advice.push(format!(
            "{} has no native XDP (the kernel says of it: {}): --xdp-skb goes without",
            device.called(),
            device.claims.unwrap_or_default().describe_xdp()
        )),
        _ => {}
    }
    if !options.xdp_skb && advice.is_empty() {
        advice.push(format!(
            "{} refused it; `dmesg` may say why, and --xdp-skb goes without",
            device.called()
        ));
        advice.extend(too_long(device, options));
    }
    Failure::new(format!("program on {name}"), why).advise(advice)
}

/// The queue cannot be had, or not so.
pub fn bind(device: &Device, options: &Options, why: io::Error) -> Failure {
    let (name, queue) = (&device.name, options.queue);
    let mut advice = Vec::new();
    let claims = device.claims.unwrap_or_default();
    match why.raw_os_error() {
        Some(libc::EBUSY) => advice.push(format!(
            "queue {queue} of {name} is taken, by another socket or for another kind of memory: \
             `ss --xdp -p` tells whose socket it is; end that, or take another --queue"
        )),
        Some(libc::ENETDOWN) => advice.push(format!("it is down: `ip link set dev {name} up`")),
        _ if device.queues.is_some_and(|queues| queue >= queues) => advice.push(format!(
            "{name} has {} queues, numbered from 0: take another --queue, or `ethtool -L {name}`",
            device.queues.unwrap_or(0)
        )),
        _ if options.zero_copy => advice.extend(no_zero_copy(device, options)),
        Some(libc::EOPNOTSUPP) if options.frags && !claims.has("rx-sg") => {
            advice.push(no_frags(device));
        }
        _ => advice.extend(too_long(device, options)),
    }
    Failure::new(format!("queue {queue} of {name}"), why).advise(advice)
}

fn no_frags(device: &Device) -> String {
    format!(
        "{} does not take frames over several chunks (the kernel says of it: {}): leave out --frags",
        device.called(),
        device.claims.unwrap_or_default().describe_xdp()
    )
}

/// Why there is no zero-copy, as far as the kernel tells.
fn no_zero_copy(device: &Device, options: &Options) -> Vec<String> {
    let called = device.called();
    let Some(claims) = device.claims else {
        return vec![format!(
            "{called} may have no zero-copy: --copy goes without"
        )];
    };
    if !claims.has("xsk-zerocopy") {
        return vec![format!(
            "{called} has no zero-copy, the kernel says (it has: {}): --copy, or neither of the two \
             options, goes without",
            claims.describe_xdp()
        )];
    }
    if options.frags && claims.zc_max_segs <= 1 {
        return vec![format!(
            "{called} has zero-copy, but for frames in one chunk only (xdp-zc-max-segs: {}): leave \
             out --frags, or take --copy",
            claims.zc_max_segs
        )];
    }
    let segments = if options.frags { claims.zc_max_segs } else { 1 };
    let most = most_mtu(options, segments);
    if device.mtu > most {
        let more = larger(options);
        return vec![format!(
            "{called} has zero-copy, but for frames that fit into {segments} chunks: with its MTU of {} they \
             may not, whether they are received or not: set {more}an MTU of at most {most}; --copy goes without",
            device.mtu
        )];
    }
    vec![format!(
        "{called} has zero-copy, the kernel says, but refused it for this queue as it is now; \
         `dmesg` may say why, and --copy goes without"
    )]
}

/// The largest MTU with which the kernel has zero-copy, with so many chunks for a frame at most.
fn most_mtu(options: &Options, segments: u32) -> u32 {
    let tailroom = if options.frags { TAILROOM } else { 0 };
    let each = room(options).saturating_sub(tailroom) / LINE * LINE;
    each.saturating_mul(segments).saturating_sub(AROUND)
}

/// Bytes of a chunk that a received frame can have.
fn room(options: &Options) -> u32 {
    options
        .frame_size
        .saturating_sub(XDP_HEADROOM)
        .saturating_sub(options.headroom)
}

/// What gives frames more room, before another way: chunks have a page at most.
fn larger(options: &Options) -> String {
    let mut ways = String::new();
    if !options.frags {
        ways += "--frags, ";
    }
    if options.frame_size < MOST_CHUNK {
        ways += "a larger --frame-size, ";
    }
    if !ways.is_empty() {
        ways += "or ";
    }
    ways
}

/// That received frames may not fit, if so.
fn too_long(device: &Device, options: &Options) -> Option<String> {
    let (room, longest) = (room(options), device.mtu.saturating_add(ETHERNET));
    (options.mode() != Mode::TxOnly && !options.frags && longest > room).then(|| {
        format!(
            "frames of {} may have {longest} bytes (MTU {}), and a chunk has room for {room}: set \
             {}an MTU of at most {}",
            device.name,
            device.mtu,
            larger(options),
            room.saturating_sub(ETHERNET)
        )
    })
}

/// What works, but not as it may be meant.
pub fn warnings(device: &Device, options: &Options, zero_copy: bool) -> Vec<String> {
    let mut warnings: Vec<String> = too_long(device, options)
        .map(|what| format!("{what}; longer ones will be dropped"))
        .into_iter()
        .collect();
    let transmit = options.transmit();
    if options.mode() != Mode::TxOnly && transmit.has_metadata() {
        warnings.push(
            "--tx-csum, --tx-tstamp and --launch-time are for --txonly: frames go without"
                .to_owned(),
        );
    }
    let mut lacks = |option: &str, what: &str| {
        warnings.push(format!(
            "{option}: {} does not say that it {what}; frames go without",
            device.called()
        ));
    };
    if let (Some(claims), Mode::TxOnly) = (device.claims, options.mode()) {
        // In copy mode the kernel does what it can.
        if transmit.tx_csum && zero_copy && !claims.has("tx-checksum") {
            lacks("--tx-csum", "completes checksums");
        }
        if transmit.tx_tstamp && zero_copy && !claims.has("tx-timestamp") {
            lacks("--tx-tstamp", "has time stamps");
        }
        if transmit.launch_time != 0 && !claims.has("tx-launch-time-fifo") {
            lacks("--launch-time", "keeps frames until their time");
        }
    }
    if options.mode() == Mode::TxOnly && options.tx_len() as u64 > u64::from(device.mtu) + 18 {
        warnings.push(format!(
            "--tx-pkt-size: frames of {} bytes are longer than the MTU of {} ({}) allows, and may be \
             dropped on their way",
            options.tx_len(),
            device.name,
            device.mtu
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::options;
    use afxdp::claims::Claims;

    fn device(claims: Option<Claims>) -> Device {
        Device {
            name: "eth0".to_owned(),
            index: 2,
            mtu: 1500,
            driver: Some("tulip".to_owned()),
            queues: Some(2),
            claims,
        }
    }

    /// Of XDP as the kernel says it, and of frames in one chunk.
    fn of(xdp: u64) -> Claims {
        Claims {
            xdp,
            zc_max_segs: 1,
            ..Claims::default()
        }
    }

    fn text(failure: &Failure) -> String {
        failure.to_string()
    }

    fn error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn missing_zero_copy_has_a_reason() {
        let options = options("-z").unwrap();
        let refusal = |claims| bind(&device(claims), &options, error(libc::EOPNOTSUPP));
        let none = text(&refusal(Some(of(0b1000_0011))));
        assert!(none.contains("eth0 (driver tulip) has no zero-copy, the kernel says"));
        assert!(none.contains("basic redirect") && none.contains("--copy"));
        assert!(text(&refusal(None)).contains("may have no zero-copy"));
        let now = text(&refusal(Some(of(0b1011))));
        assert!(now.contains("refused it for this queue as it is now"));
        let options = crate::options::tests::options("-z -F").unwrap();
        let one = bind(
            &device(Some(of(0b10_1011))),
            &options,
            error(libc::EOPNOTSUPP),
        );
        assert!(text(&one).contains("xdp-zc-max-segs: 1"));
    }

    #[test]
    fn zero_copy_has_a_longest_frame() {
        let mut device = device(Some(of(0b1011)));
        device.mtu = 9000;
        let refusal = |words, device: &Device| {
            let options = crate::options::tests::options(words).unwrap();
            text(&bind(device, &options, error(libc::EINVAL)))
        };
        let long = refusal("-t -z", &device);
        assert!(
            long.contains("MTU of 9000") && long.contains("at most 3814"),
            "{long}"
        );
        assert!(long.contains("set --frags, or an MTU"), "{long}");
        device.mtu = 3814;
        assert!(refusal("-t -z", &device).contains("as it is now"));
        device.mtu = 3815;
        assert!(refusal("-r -z --headroom 1", &device).contains("at most 3686"));
        device.claims = Some(Claims {
            zc_max_segs: 2,
            ..of(0b10_1011)
        });
        device.mtu = 9000;
        let long = refusal("-r -z -F", &device);
        assert!(
            long.contains("2 chunks") && long.contains("at most 6886"),
            "{long}"
        );
    }

    #[test]
    fn queues_are_taken_or_missing() {
        let options = options("-z -q 2").unwrap();
        let device = device(None);
        let taken = text(&bind(&device, &options, error(libc::EBUSY)));
        assert!(taken.starts_with("queue 2 of eth0: "), "{taken}");
        assert!(taken.contains("is taken, by another socket"));
        let missing = text(&bind(&device, &options, error(libc::EINVAL)));
        assert!(missing.contains("has 2 queues"), "{missing}");
        let down = text(&bind(&device, &options, error(libc::ENETDOWN)));
        assert!(down.contains("ip link set dev eth0 up"));
    }

    #[test]
    fn capabilities_are_named() {
        let options = options("").unwrap();
        assert!(text(&memory(&options, error(libc::EPERM))).contains("CAP_NET_RAW"));
        assert!(text(&memory(&options, error(libc::ENOBUFS))).contains("ulimit -l"));
        assert!(text(&memory(&options, error(libc::EINVAL))).contains("from 2048 bytes"));
        let program = program(&device(None), &options, error(libc::EPERM));
        assert!(text(&program).contains("CAP_NET_ADMIN"));
    }

    #[test]
    fn long_frames_are_warned_of() {
        let mut device = device(None);
        assert!(warnings(&device, &options("").unwrap(), true).is_empty());
        device.mtu = 9000;
        let warned = warnings(&device, &options("").unwrap(), true);
        assert!(warned[0].contains("may have 9018 bytes"), "{warned:?}");
        assert!(warned[0].contains("room for 3840"), "{warned:?}");
        assert!(warned[0].contains("at most 3822"), "{warned:?}");
        assert!(warnings(&device, &options("-F").unwrap(), true).is_empty());
        assert!(warnings(&device, &options("-t").unwrap(), true).is_empty());
        let warned = warnings(&device, &options("-f 2048").unwrap(), true);
        assert!(
            warned[0].contains("set --frags, a larger --frame-size, or an MTU"),
            "{warned:?}"
        );
        device.mtu = 1500;
        let warned = warnings(&device, &options("-l --tx-csum").unwrap(), true);
        assert!(warned[0].contains("are for --txonly"), "{warned:?}");
        let warned = warnings(&device, &options("-t -s 2000").unwrap(), true);
        assert!(warned[0].contains("longer than the MTU"), "{warned:?}");
    }

    #[test]
    fn what_the_device_lacks_is_said() {
        let device = device(Some(Claims::default()));
        let words = "-t --tx-csum --tx-tstamp --launch-time 5";
        assert_eq!(warnings(&device, &options(words).unwrap(), true).len(), 3);
        assert_eq!(warnings(&device, &options(words).unwrap(), false).len(), 1);
        let words = "-t --tx-csum --tx-tstamp";
        assert!(warnings(&device, &options(words).unwrap(), false).is_empty());
    }
}

//! Secrets never come out, however little of a request was read.

use super::*;

/// A head with the canary wherever a secret is known by its name or place.
fn head_full_of_secrets() -> String {
    [
        &format!("GET http://user:{CANARY}@h/latest/?token={CANARY}&X-Amz-Security-Token={CANARY}"),
        " HTTP/1.1\r\n",
        &format!("Host: user:{CANARY}@imds\r\n"),
        &format!("User-Agent: agent/1 password={CANARY} Authorization: Bearer {CANARY}\r\n"),
        &format!("X-aws-ec2-metadata-token: {CANARY}\r\n"),
        &format!("Authorization: Bearer {CANARY}\r\nCookie: {CANARY}\r\n\r\n"),
    ]
    .concat()
}

#[test]
fn no_secret_of_a_request_or_its_sender_comes_out_wherever_it_is_cut() {
    let head = head_full_of_secrets();
    let script = format!("curl -H 'X-aws-ec2-metadata-token: {CANARY}' -u me:{CANARY} http://h/");
    for cut in 1..=head.len() {
        let mut run = run();
        run.take(capture::Event::Arguments {
            task: task(),
            args: vec![b"bash".to_vec(), b"-c".to_vec(), script.clone().into()],
            truncated: false,
            at_exec: false,
        });
        run.send(0, 0, &head.as_bytes()[..cut]);
        run.close();
        let request = run.only_request();
        let expected = if cut == head.len() {
            ImdsVersion::V2
        } else {
            ImdsVersion::Unknown
        };
        assert_eq!(request.imds.version, expected, "cut at {cut}");
        let everything = run.everything();
        assert!(!everything.contains("c4n"), "cut at {cut}: {everything}");
    }
    // And what is not secret does.
    let mut run = run();
    run.send(0, 0, head.as_bytes());
    let agent = run.only_request().http.user_agent.as_deref().unwrap();
    assert!(agent.starts_with("agent/1 password=[REDACTED]"), "{agent}");
}

#[test]
fn debugged_events_of_secrets_that_were_read_in_part_hold_none() {
    let mut run = run();
    let head = head_full_of_secrets();
    run.send(0, 0, &head.as_bytes()[..head.len() - 10]);
    run.take(missing(head.len() as u32 - 10, 10));
    run.expire();
    assert!(!run.everything().contains("c4n"), "{}", run.everything());
    assert_eq!(run.versions(), [0, 0, 1]);
}

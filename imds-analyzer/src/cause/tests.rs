use super::*;
use crate::sink::fixture;

/// A process below `parent`, in no container.
fn task(tgid: u32, name: &str) -> Task {
    Task {
        tgid,
        tid: tgid,
        start_boottime_ns: u64::from(tgid) * 1_000,
        exec_id: 1,
        uid: 0,
        gid: 0,
        thread_name: name.into(),
        process_name: name.into(),
    }
}

fn request(parent: u32, container: Option<&str>) -> Request {
    let mut request = fixture::request();
    request.ancestors.truncate(1);
    request.ancestors[0].pid = parent;
    let process = request.process.as_mut().unwrap();
    process.container = container.map(|id| crate::record::Container {
        id: id.to_owned(),
        ..Default::default()
    });
    request
}

fn caller(causes: &Causes, task: &Task, request: &Request) -> Caller {
    causes.caller(task, request).unwrap()
}

fn why(cause: Cause) -> Option<Why> {
    Some(Why {
        cause,
        status: None,
    })
}

/// What is said of a request after a try of the same process that was answered so.
fn after(answer: Answer) -> Option<Why> {
    let mut causes = Causes::new();
    let caller = caller(&causes, &task(7, "agent"), &request(2, None));
    causes.note_try(&caller, 10, Answer::Awaited);
    causes.note_try(&caller, 10, answer);
    causes.of(&caller, 20)
}

#[test]
fn caller_that_never_tried_does_not_know_tokens() {
    let mut causes = Causes::new();
    let caller = caller(&causes, &task(7, "agent"), &request(2, None));
    assert_eq!(causes.of(&caller, 20), why(Cause::NeverAskedForToken));
}

#[test]
fn try_decides_by_its_answer() {
    assert_eq!(after(Answer::Awaited), why(Cause::TokenUnanswered));
    assert_eq!(after(Answer::Missing), why(Cause::TokenUnanswered));
    assert_eq!(after(Answer::Status(200)), why(Cause::TokenNotUsed));
    for status in [400, 403, 404, 405, 500] {
        let refused = Why {
            cause: Cause::TokenRefused,
            status: Some(status),
        };
        assert_eq!(after(Answer::Status(status)), Some(refused));
    }
}

#[test]
fn answer_that_was_not_seen_is_not_guessed() {
    assert_eq!(after(Answer::Unknown), None);
}

#[test]
fn last_try_before_the_request_counts() {
    let mut causes = Causes::new();
    let caller = caller(&causes, &task(7, "agent"), &request(2, None));
    causes.note_try(&caller, 10, Answer::Missing);
    causes.note_try(&caller, 30, Answer::Status(200));
    assert_eq!(causes.of(&caller, 5), why(Cause::NeverAskedForToken));
    assert_eq!(causes.of(&caller, 20), why(Cause::TokenUnanswered));
    assert_eq!(causes.of(&caller, 40), why(Cause::TokenNotUsed));
    // The answer to the older one comes late.
    causes.note_try(&caller, 10, Answer::Status(200));
    assert_eq!(causes.of(&caller, 20), why(Cause::TokenNotUsed));
}

#[test]
fn script_asks_in_one_process_and_sends_in_another() {
    let mut causes = Causes::new();
    let asks = caller(&causes, &task(7, "curl"), &request(2, None));
    causes.note_try(&asks, 10, Answer::Status(403));
    let sends = caller(&causes, &task(8, "curl"), &request(2, None));
    assert_eq!(causes.of(&sends, 20).unwrap().cause, Cause::TokenRefused);
    let other = caller(&causes, &task(9, "python3"), &request(2, None));
    assert_eq!(causes.of(&other, 20), why(Cause::NeverAskedForToken));
    let elsewhere = caller(&causes, &task(10, "curl"), &request(3, None));
    assert_eq!(causes.of(&elsewhere, 20), why(Cause::NeverAskedForToken));
}

#[test]
fn orphans_have_nothing_in_common() {
    let mut causes = Causes::new();
    let asks = caller(&causes, &task(7, "curl"), &request(1, None));
    causes.note_try(&asks, 10, Answer::Missing);
    let sends = caller(&causes, &task(8, "curl"), &request(1, None));
    assert_eq!(causes.of(&sends, 20), why(Cause::NeverAskedForToken));
}

#[test]
fn container_is_one_caller_for_programs_of_one_name() {
    let mut causes = Causes::new();
    let asks = caller(&causes, &task(7, "curl"), &request(2, Some("a")));
    causes.note_try(&asks, 10, Answer::Missing);
    let sends = caller(&causes, &task(8, "curl"), &request(3, Some("a")));
    assert_eq!(causes.of(&sends, 20), why(Cause::TokenUnanswered));
    let elsewhere = caller(&causes, &task(9, "curl"), &request(4, Some("b")));
    assert_eq!(causes.of(&elsewhere, 20), why(Cause::NeverAskedForToken));
}

#[test]
fn what_a_client_of_both_versions_does_is_its_own_matter() {
    let mut causes = Causes::new();
    let client = caller(&causes, &task(7, "python3"), &request(2, None));
    let other = caller(&causes, &task(8, "python3"), &request(2, None));
    causes.note_try(&client, 10, Answer::Awaited);
    causes.note_other(&client);
    assert_eq!(causes.of(&other, 20), why(Cause::NeverAskedForToken));
    // Its answer comes later.
    causes.note_try(&client, 10, Answer::Status(200));
    assert_eq!(causes.of(&other, 20), why(Cause::NeverAskedForToken));
    assert_eq!(causes.of(&client, 20), why(Cause::TokenNotUsed));
}

#[test]
fn token_of_long_ago_explains_nobody_elses_request() {
    let mut causes = Causes::new();
    let asks = caller(&causes, &task(7, "curl"), &request(2, None));
    causes.note_try(&asks, 10, Answer::Missing);
    let sends = caller(&causes, &task(8, "curl"), &request(2, None));
    let later = 10 + SHARED_NS + 1;
    assert_eq!(causes.of(&sends, later), why(Cause::NeverAskedForToken));
    assert_eq!(causes.of(&asks, later), why(Cause::TokenUnanswered));
}

#[test]
fn sender_that_is_not_known_is_no_caller() {
    let mut unknown = request(2, None);
    unknown.process = None;
    assert_eq!(Causes::new().caller(&task(0, ""), &unknown), None);
}

#[test]
fn successor_with_the_same_process_id_has_not_tried() {
    let mut causes = Causes::new();
    let first = caller(&causes, &task(7, "agent"), &request(1, None));
    causes.note_try(&first, 10, Answer::Status(200));
    let mut successor = task(7, "agent");
    successor.start_boottime_ns += 1;
    let second = caller(&causes, &successor, &request(1, None));
    assert_eq!(causes.of(&second, 20), why(Cause::NeverAskedForToken));
}

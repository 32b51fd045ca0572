//! Records that wait, and ones that don't.

use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    record::{self, FileId, Package},
    sink::fixture,
};

/// A stage of which the tests are the worker and the writer.
struct World {
    stage: Stage,
    asked: Arc<Mutex<Vec<Ask>>>,
    emitted: Arc<Mutex<Vec<(u64, Event)>>>,
    now: Instant,
}

/// One that takes `questions` questions and no more.
fn world(questions: usize) -> World {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let emitted = Arc::new(Mutex::new(Vec::new()));
    let (ask_into, emit_into) = (Arc::clone(&asked), Arc::clone(&emitted));
    let mut left = questions;
    let ask = move |ask| {
        let takes = left > 0;
        if takes {
            left -= 1;
            ask_into.lock().unwrap().push(ask);
        }
        takes
    };
    let emit = move |time, event| emit_into.lock().unwrap().push((time, event));
    World {
        stage: Stage::new(true, Box::new(ask), None, Box::new(emit)),
        asked,
        emitted,
        now: Instant::now(),
    }
}

impl World {
    /// A request of a process of the host that runs `executable`.
    fn request(&mut self, time: u64, executable: &str) {
        let mut request = fixture::bare_request();
        let process = request.process.as_mut().unwrap();
        process.executable = Some(executable.to_owned());
        process.executable_file = Some(FileId {
            device: 8,
            inode: 7,
        });
        self.take(time, Event::ImdsRequest(Box::new(request)));
    }

    fn heartbeat(&mut self, time: u64) {
        self.take(time, Event::Heartbeat(record::Heartbeat::default()));
    }

    fn take(&mut self, time: u64, event: Event) {
        self.stage.take(time, event, self.now);
    }

    fn asked(&self) -> Vec<Question> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|ask| ask.question.clone()).collect()
    }

    fn answer(&mut self, question: usize, name: &str) {
        let found = Found::Package(Package {
            name: name.to_owned(),
            version: None,
            manager: "dpkg".to_owned(),
        });
        self.found(question, found);
    }

    fn found(&mut self, question: usize, found: Found) {
        let question = self.asked()[question].clone();
        self.stage.answer(question, found, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.stage.release(self.now);
    }

    /// What was emitted: its time, and the package.
    fn emitted(&self) -> Vec<String> {
        let emitted = self.emitted.lock().unwrap();
        let words = emitted.iter().map(|(time, event)| match event {
            Event::ImdsRequest(request) => match &request.process.as_ref().unwrap().package {
                Some(package) => format!("{time} {}", package.name),
                None => format!("{time} -"),
            },
            _ => format!("{time} beat"),
        });
        words.collect()
    }
}

#[test]
fn record_waits_for_its_answer() {
    let mut world = world(10);
    world.request(1, "/usr/bin/curl");
    assert_eq!(world.emitted(), [""; 0]);
    world.answer(0, "curl");
    assert_eq!(world.emitted(), ["1 curl"]);
    assert!(world.stage.is_empty());
}

#[test]
fn order_is_kept() {
    let mut world = world(10);
    world.request(1, "/usr/bin/curl");
    world.heartbeat(2);
    world.request(3, "/usr/bin/wget");
    world.answer(1, "wget");
    assert_eq!(world.emitted(), [""; 0]);
    world.answer(0, "curl");
    assert_eq!(world.emitted(), ["1 curl", "2 beat", "3 wget"]);
}

#[test]
fn question_is_asked_once_and_its_answer_remembered() {
    let mut world = world(10);
    world.request(1, "/usr/bin/curl");
    world.request(2, "/usr/bin/curl");
    world.answer(0, "curl");
    world.request(3, "/usr/bin/curl");
    assert_eq!(world.emitted(), ["1 curl", "2 curl", "3 curl"]);
    assert_eq!(world.asked().len(), 1);
}

#[test]
fn late_answer_is_for_the_next_record() {
    let mut world = world(10);
    world.request(1, "/usr/bin/curl");
    assert_eq!(world.stage.next_deadline(), Some(world.now + WAIT));
    world.pass(WAIT);
    assert_eq!(world.emitted(), ["1 -"]);
    assert_eq!(world.stage.next_deadline(), None);
    world.request(2, "/usr/bin/curl");
    assert_eq!(world.asked().len(), 1);
    world.answer(0, "curl");
    world.request(3, "/usr/bin/curl");
    assert_eq!(world.emitted(), ["1 -", "2 curl", "3 curl"]);
}

#[test]
fn question_that_cannot_be_asked_is_not_waited_for() {
    let mut world = world(0);
    world.request(1, "/usr/bin/curl");
    assert_eq!(world.emitted(), ["1 -"]);
}

#[test]
fn that_there_is_no_answer_is_forgotten_soon() {
    let mut world = world(10);
    world.request(1, "/opt/x");
    world.found(0, Found::Nothing);
    world.request(2, "/opt/x");
    assert_eq!((world.emitted().len(), world.asked().len()), (2, 1));
    world.pass(NOTHING_FOR);
    world.request(3, "/opt/x");
    assert_eq!(world.asked().len(), 2);
}

#[test]
fn number_of_records_that_are_held_is_bounded() {
    let mut world = world(10);
    for time in 0..5 * MAX_HELD as u64 {
        world.request(time, "/usr/bin/curl");
        assert!(world.stage.held.len() <= MAX_HELD);
    }
    assert_eq!(world.emitted().len(), 4 * MAX_HELD);
    world.answer(0, "curl");
    assert_eq!(world.emitted().len(), 5 * MAX_HELD);
    assert_eq!(world.stage.held_bytes, 0);
}

#[test]
fn memory_of_records_that_are_held_is_bounded() {
    let mut world = world(1_000);
    for time in 0..200 {
        let mut request = fixture::request();
        let process = request.process.as_mut().unwrap();
        process.args = Some(vec!["x".repeat(16_000)]);
        process.container.as_mut().unwrap().delegated = false;
        process.container.as_mut().unwrap().id = format!("{time:064x}");
        world.take(time, Event::ImdsRequest(Box::new(request)));
        assert!(world.stage.held_bytes <= MAX_HELD_BYTES);
    }
    assert!(!world.stage.is_empty());
}

#[test]
fn end_lets_go_of_everything() {
    let mut world = world(10);
    world.request(1, "/usr/bin/curl");
    world.heartbeat(2);
    world.stage.release_all();
    assert_eq!(world.emitted(), ["1 -", "2 beat"]);
}

#[test]
fn nothing_is_asked_about_a_delegated_container() {
    let process = fixture::request().process.unwrap();
    assert!(process.container.as_ref().unwrap().delegated);
    assert_eq!(Question::about(&process, true), []);
}

#[test]
fn path_that_is_not_what_the_file_system_has_is_not_asked_about() {
    let mut world = world(10);
    for path in ["/a\\nb", "/…[truncated 9 bytes]", "/[REDACTED]", "memfd:x"] {
        world.request(1, path);
    }
    assert_eq!(world.asked(), []);
    assert_eq!(world.emitted().len(), 4);
}

#[test]
fn executable_that_is_gone_is_not_asked_about() {
    let mut process = fixture::request().process.unwrap();
    process.container = None;
    process.executable_file = Some(FileId {
        device: 8,
        inode: 7,
    });
    process.executable_state = Some(record::ExecutableState::Deleted);
    assert_eq!(Question::about(&process, true), []);
    process.executable_state = None;
    assert_eq!(Question::about(&process, true).len(), 1);
    assert_eq!(Question::about(&process, false), []);
}

#[test]
fn processes_nearest_to_the_container_s_first_are_tried_first() {
    let inside = super::super::question::Inside {
        id: "c".to_owned(),
        inner_id: None,
    };
    let question = Question::User { inside, uid: 0 };
    assert_eq!(question.ask(10, &[9, 8, 1]).pids, [1, 8, 9, 10]);
    let above: Vec<u32> = (100..200).collect();
    let pids = question.ask(10, &above).pids;
    assert_eq!((pids.len(), pids.last()), (8, Some(&10)));
}

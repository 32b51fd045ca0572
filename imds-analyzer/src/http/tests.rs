use super::*;

fn parse(head: &[u8]) -> Result<RequestHead<'_>, HeadError> {
    RequestHead::parse(head)
}

fn framing(fields: &str) -> Framing {
    let head = format!("POST /x HTTP/1.1\r\n{fields}\r\n");
    parse(head.as_bytes()).expect("a head").framing()
}

#[test]
fn head_gives_method_target_version_and_headers_in_order() {
    let head = parse(b"GET /a?b HTTP/1.0\r\nHost: h\r\nA:1\r\na: 2 \r\n\r\n").unwrap();
    assert_eq!(
        (head.method, head.target, head.minor_version),
        ("GET", &b"/a?b"[..], 0)
    );
    let headers: Vec<_> = head.headers().collect();
    assert_eq!(headers, [("Host", &b"h"[..]), ("A", b"1"), ("a", b"2")]);
    assert_eq!(head.values("A").collect::<Vec<_>>(), [b"1", b"2"]);
}

#[test]
fn bare_line_feeds_end_lines() {
    let head = parse(b"GET / HTTP/1.1\nHost: h\n\n").unwrap();
    assert_eq!(head.values("host").next(), Some(&b"h"[..]));
}

#[test]
fn several_spaces_separate_the_request_line() {
    assert_eq!(parse(b"GET   /  HTTP/1.1\r\n\r\n").unwrap().target, b"/");
}

#[test]
fn target_may_hold_utf8_and_other_high_bytes() {
    assert_eq!(
        parse("GET /é HTTP/1.1\r\n\r\n".as_bytes()).unwrap().target,
        "/é".as_bytes()
    );
    let latin1 = parse(b"GET /\xe9 HTTP/1.1\r\nX: y\r\n\r\n").unwrap();
    assert_eq!(latin1.target, b"/\xe9");
    assert_eq!(latin1.values("x").next(), Some(&b"y"[..]));
}

#[test]
fn header_values_may_hold_high_bytes() {
    let head = parse(b"GET / HTTP/1.1\r\nX: \xff\xfe\r\n\r\n").unwrap();
    assert_eq!(head.values("x").next(), Some(&b"\xff\xfe"[..]));
}

#[test]
fn thousands_of_headers_are_all_read() {
    let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
    for n in 0..5000 {
        bytes.extend(format!("h{n}:\n").bytes());
    }
    bytes.extend(b"last: 1\r\n\r\n");
    let head = parse(&bytes).unwrap();
    assert_eq!(head.headers().count(), 5001);
    assert_eq!(head.values("LAST").next(), Some(&b"1"[..]));
}

#[test]
fn malformed_request_lines_are_refused() {
    for line in [
        "GET /",
        "GET / HTTP/2.0",
        "GET / HTTP/1.2",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET  HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET / http/1.1",
        " GET / HTTP/1.1",
        "\u{16}\u{3}\u{1}",
        "GET / HTTP/1.1\rX: y",
    ] {
        let head = format!("{line}\r\nHost: h\r\n\r\n");
        assert!(parse(head.as_bytes()).is_err(), "{line:?}");
        assert!(!begins_with_request_line(head.as_bytes()), "{line:?}");
    }
}

#[test]
fn malformed_header_lines_are_refused_with_any_target() {
    for field in [
        "name : v",
        " folded: v",
        "\tfolded",
        "no colon",
        ": v",
        "a\0b: v",
        "a: v\0",
        "a: \x01",
        "a: b\rc: d",
        "n\u{e9}: v",
        "\rX: y",
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n");
        assert_eq!(
            parse(head.as_bytes()).unwrap_err(),
            HeadError::HeaderLine,
            "{field:?}"
        );
        let mut opaque = b"GET /\xff HTTP/1.1\r\nHost: h\r\n".to_vec();
        opaque.extend(field.bytes().chain(*b"\r\n\r\n"));
        assert_eq!(
            parse(&opaque).unwrap_err(),
            HeadError::HeaderLine,
            "{field:?}"
        );
    }
}

#[test]
fn anything_but_one_whole_head_is_refused() {
    for bytes in [
        &b""[..],
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\nGET",
        b"GET /\xff HTTP/1.1\r\n\r\nx",
        b"GET /\xff HTTP/1.1\r\nHost: h\r\n",
    ] {
        assert_eq!(parse(bytes).unwrap_err(), HeadError::Extent, "{bytes:?}");
    }
}

#[test]
fn head_ends_behind_the_first_empty_line() {
    assert_eq!(head_end(b"a\r\nb\r\n\r\nc", 0), Some(8));
    assert_eq!(head_end(b"a\n\nc", 0), Some(3));
    assert_eq!(head_end(b"a\n\r\nc", 0), Some(4));
    assert_eq!(head_end(b"a\r\n\r", 0), None);
    assert_eq!(head_end(b"a\r\n\rb\n", 0), None);
    assert_eq!(head_end(b"", 0), None);
}

#[test]
fn head_end_is_found_by_a_search_that_was_continued() {
    let bytes = b"a: b\r\n\r\n";
    for cut in 0..bytes.len() {
        assert_eq!(head_end(&bytes[..cut], 0), None);
        assert_eq!(
            head_end(bytes, cut.saturating_sub(3)),
            Some(8),
            "cut at {cut}"
        );
    }
}

#[test]
fn only_bytes_that_can_become_a_method_may_begin_a_request() {
    for bytes in [
        &b"G"[..],
        b"GET",
        b"GET ",
        b"M-SEARCH * ",
        b"GET / HTTP/1.1\r\n",
    ] {
        assert!(may_begin_request(bytes), "{bytes:?}");
    }
    for bytes in [
        &b" "[..],
        b"\x16\x03",
        b"Host: h",
        b"\"a\"",
        b"GET\r\n",
        b"GET\t/",
        &[b'A'; 33],
    ] {
        assert!(!may_begin_request(bytes), "{bytes:?}");
    }
}

#[test]
fn prefix_gives_what_was_whole() {
    let head = RequestHead::parse_prefix(b"GET /x HTTP/1.1\r\nHost: h\r\nUser-Agent: cu").unwrap();
    assert_eq!(head.target, b"/x");
    assert_eq!(head.headers().collect::<Vec<_>>(), [("Host", &b"h"[..])]);
    let head = RequestHead::parse_prefix(b"GET /x HTTP/1.1\r\nbad\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(head.headers().count(), 0);
    assert!(RequestHead::parse_prefix(b"GET /x HTTP/1.1").is_none());
}

#[test]
fn request_without_lengths_has_no_body() {
    assert_eq!(framing("Host: h\r\n"), Framing::None);
    assert_eq!(framing("Content-Length: 0\r\n"), Framing::None);
}

#[test]
fn content_length_is_one_number_however_often_it_is_given() {
    assert_eq!(framing("content-LENGTH: 12\r\n"), Framing::Length(12));
    assert_eq!(
        framing("Content-Length: 5, 5\r\nContent-Length: 5\r\n"),
        Framing::Length(5)
    );
    let max = u64::MAX;
    assert_eq!(
        framing(&format!("Content-Length: {max}\r\n")),
        Framing::Length(max)
    );
}

#[test]
fn chunked_must_be_the_last_coding_and_once() {
    assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Framing::Chunked);
    assert_eq!(
        framing("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        Framing::Chunked
    );
}

#[test]
fn contradicting_or_invalid_lengths_are_ambiguous() {
    for fields in [
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1, 2\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: 1 1\r\n",
        "Content-Length:\r\n",
        "Content-Length: 1,\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
    ] {
        assert_eq!(framing(fields), Framing::Ambiguous, "{fields:?}");
    }
    let old = parse(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(old.framing(), Framing::Ambiguous);
}

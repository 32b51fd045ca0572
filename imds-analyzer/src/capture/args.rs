//! Arguments as they lie in a process's memory and in `/proc/PID/cmdline`.

/// Splits arguments that end with a NUL each. A process that rewrote its title
/// may have left the last one out.
pub fn split_args(memory: &[u8]) -> Vec<Vec<u8>> {
    if memory.is_empty() {
        return Vec::new();
    }
    let memory = memory.strip_suffix(b"\0").unwrap_or(memory);
    memory
        .split(|&byte| byte == 0)
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_end_with_a_nul_each() {
        assert_eq!(
            split_args(b"curl\0-s\0\0"),
            [b"curl".to_vec(), b"-s".to_vec(), vec![]]
        );
    }

    #[test]
    fn rewritten_title_is_one_argument() {
        assert_eq!(split_args(b"nginx: worker"), [b"nginx: worker".to_vec()]);
    }

    #[test]
    fn kernel_thread_has_no_arguments() {
        assert!(split_args(b"").is_empty());
    }
}

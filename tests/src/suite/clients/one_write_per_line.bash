# /dev/tcp: the shell writes each line with a system call of its own.
case_name=$1
token=$2
ask() {
    exec 3<>/dev/tcp/169.254.169.254/80
    while IFS= read -r line; do
        printf '%s\r\n' "$line" >&3
    done
    printf '\r\n' >&3
    cat <&3 >/dev/null
    exec 3<&- 3>&-
}
ask <<END
GET /latest/meta-data/ami-id?case=$case_name&n=1 HTTP/1.1
Host: 169.254.169.254
Connection: close
END
ask <<END
GET /latest/meta-data/ami-id?case=$case_name&n=2 HTTP/1.1
Host: 169.254.169.254
X-aws-ec2-metadata-token: $token
Connection: close
END

# Calls IMDS so many times by itself, says its PID, and stays.
case_name=$1
count=$2
for ((n = 1; n <= count; n++)); do
    exec 3<>/dev/tcp/169.254.169.254/80
    printf 'GET /latest/meta-data/ami-id?case=%s&n=%s HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: aws-sdk-go/1.37.19 (go1.16; linux; amd64) S3Manager\r\nConnection: close\r\n\r\n' "$case_name" "$n" >&3
    while read -r -u 3 _; do :; done
    exec 3<&- 3>&-
done
echo $$
read -r end

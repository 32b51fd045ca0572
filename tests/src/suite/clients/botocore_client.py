"""botocore's fetcher of role credentials, as boto3 and the AWS CLI use it."""
import sys
import threading

from botocore.utils import InstanceMetadataFetcher

fetcher = InstanceMetadataFetcher(timeout=float(sys.argv[1]), num_attempts=1,
                                  user_agent="Botocore/1 imds-tests")
credentials = fetcher.retrieve_iam_role_credentials()
if credentials.get("role_name") != "imds-tests-role" or not credentials["secret_key"]:
    sys.exit("botocore got no credentials")
print("tid", threading.get_native_id())
print("done", flush=True)
sys.stdin.read()

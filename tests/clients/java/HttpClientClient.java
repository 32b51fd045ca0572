import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

/**
 * java.net.http.HttpClient as it comes: it offers HTTP/2 in each request of a new
 * connection, and threads of its own send.
 */
public final class HttpClientClient {
    private static final String SERVICE = "http://169.254.169.254/latest";
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final HttpClient client = HttpClient.newBuilder().connectTimeout(PATIENCE).build();

    public static void main(String[] arguments) throws IOException, InterruptedException {
        String name = arguments[0];
        HttpClientClient client = new HttpClientClient();
        String token = client.ask("PUT", "/api/token",
                "X-aws-ec2-metadata-token-ttl-seconds", "60",
                "X-Case", name + "/1");
        String path = "/meta-data/ami-id?case=" + name + "&n=";
        client.ask("GET", path + 2);
        client.ask("GET", path + 3, "X-aws-ec2-metadata-token", token);
        System.out.println("done");
        System.in.readAllBytes();
    }

    private String ask(String method, String path, String... headers)
            throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(SERVICE + path))
                .timeout(PATIENCE)
                .method(method, HttpRequest.BodyPublishers.noBody());
        if (headers.length > 0) {
            request.headers(headers);
        }
        HttpResponse<String> answer =
                client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IOException(method + ": " + answer.statusCode());
        }
        return answer.body();
    }
}

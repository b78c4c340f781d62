package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// caller lists config maps of its namespace at the real API server.
type caller struct {
	client *http.Client
	url    string
}

func newCaller() (*caller, error) {
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM([]byte(os.Getenv("API_CA"))) {
		return nil, errors.New("the variable API_CA has no certificate")
	}
	return &caller{
		client: &http.Client{
			Timeout:   10 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}},
		},
		url: fmt.Sprintf("%s/api/v1/namespaces/%s/configmaps?limit=1", os.Getenv("API_URL"), os.Getenv("POD_NAMESPACE")),
	}, nil
}

// call is one request, never repeated: a second try would hide a refused moment.
func (c *caller) call(token string) (int, error) {
	request, err := http.NewRequest(http.MethodGet, c.url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("User-Agent", "consumer")
	answer, err := c.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	// An unread body would cost the connection.
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}
